"""What an owner does about bundles for its customers: the off switch, and telling them why (PIPL Art. 24, 44, 48)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.agreements.fields import IDENTIFIER, matching, members, text
from gateway.bundles.bundles import Bundles
from gateway.bundles.switches import turn
from gateway.catalog import Datasets
from gateway.database import Database
from gateway.errors import Invalid
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger
from gateway.vault.keyring import KeyRing


class BundlePersons:
    """For the dataset's owner alone, who names a person as its rows do. Unknown persons look like known ones."""

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, bundles: Bundles) -> None:
        self._datasets = Datasets(database, ledger)
        self._ledger = ledger
        self._keyring = keyring
        self._bundles = bundles

    async def switch(self, subject: Subject, said: Mapping[str, Any]) -> dict[str, Any]:
        """Record that a person wants no bundles from its data, or wants them again; needs `withdraw`."""
        subject.require("withdraw")
        members(said, ("dataset", "subject", "off"), "")
        if not isinstance(said["off"], bool):
            raise Invalid("invalid_switch", "This is true or false.", field="/off")
        person = await self._person(subject, said)
        async with self._ledger.changing(subject.member, narrows={subject.member}) as change:
            await turn(change, subject.member, person, off=said["off"], actor=subject.actor())
        return {"dataset": said["dataset"], "off": said["off"]}

    async def explain(self, subject: Subject, said: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What was offered to a person and why, for the owner to tell it; needs `consent`. The entry comes first."""
        subject.require("consent")
        members(said, ("dataset", "subject"), "")
        person = await self._person(subject, said)
        async with self._ledger.changing(subject.member) as change:
            facts = {"act": "bundles_explained", "actor": subject.actor(), "subject": person}
            change.enter(Draft(log=subject.member, kind=Kind.QUERY, facts=facts))
        return await self._bundles.of_person(subject.member, person)

    async def _person(self, subject: Subject, said: Mapping[str, Any]) -> str:
        found = await self._datasets.owned(subject, matching(said["dataset"], "/dataset", IDENTIFIER))
        named = found.subject_of(text(said["subject"], "/subject"))
        return (await self._keyring.unlock(subject.member)).pseudonym(named)

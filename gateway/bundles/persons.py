"""What persons may want of bundles: the off switch, and to be told why (PIPL Art. 24, 44, 48)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.agreements.fields import IDENTIFIER, matching, members, text
from gateway.bundles.bundles import Bundles
from gateway.bundles.switches import is_off, turn
from gateway.catalog import Datasets
from gateway.database import Database
from gateway.errors import Invalid
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger
from gateway.vault.keyring import KeyRing


class BundlePersons:
    """For the person's own page, and for the dataset's owner, who names a person as its rows do.

    Unknown persons look like known ones.
    """

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, bundles: Bundles) -> None:
        self._database = database
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
        await self.turn(subject.member, await self._person(subject, said), off=said["off"], actor=subject.actor())
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

    async def turn(self, owner: str, pseudonym: str, *, off: bool, actor: Mapping[str, str]) -> None:
        """Turn a person's switch, in force for every member as soon as this returns."""
        async with self._ledger.changing(owner, narrows={owner}) as change:
            await turn(change, owner, pseudonym, off=off, actor=actor)

    async def is_off(self, owner: str, pseudonym: str) -> bool:
        """Whether a person has switched bundles off."""
        return await is_off(self._database, owner, pseudonym)

    async def told(self, owner: str, pseudonym: str) -> list[dict[str, Any]]:
        """What was offered to a person and why, for its page: which fields had a part in it, never their values."""
        found = await self._bundles.of_person(owner, pseudonym)
        return [{name: said for name, said in one.items() if name != "preferences"} for one in found]

    async def _person(self, subject: Subject, said: Mapping[str, Any]) -> str:
        found = await self._datasets.owned(subject, matching(said["dataset"], "/dataset", IDENTIFIER))
        named = found.subject_of(text(said["subject"], "/subject"))
        return (await self._keyring.unlock(subject.member)).pseudonym(named)

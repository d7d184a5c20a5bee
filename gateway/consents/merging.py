"""Two subjects of a dataset that are one person: merging them never makes more stand, and a withdrawal wins.

Both keep their pseudonyms, records and proofs. Whatever the person withdrew or refused as the one does not stand as
the other either, unless it was given later, and whatever it withdraws from then on is withdrawn as both; a consent as
the one gives nothing as the other. Two that were merged by mistake are separated again, and what ended stays ended.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import orjson
from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.clock import seconds
from gateway.consents.entries import merged_entry, separated_entry
from gateway.consents.notice_text import CONTACT
from gateway.consents.past import ANY, EVERYWHERE, REACHING, keep_withdrawal_at
from gateway.consents.record import Record
from gateway.consents.records import Records
from gateway.consents.same_person import link, subjects_of, unlink
from gateway.consents.states import STEPS, WITHDRAWABLE, Event, State
from gateway.consents.tables import withdrawal
from gateway.database import Query
from gateway.errors import Conflicting, Invalid
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.vault.keyring import KeyRing

_WITHDRAWALS = Query(select(withdrawal).where(REACHING, withdrawal.c.pseudonym == bindparam("pseudonym")))


class _Barrier(NamedTuple):
    """Recipient and purpose ('' for any) that a person withdrew or refused, and when, in epoch seconds."""

    recipient: str
    purpose: str
    at_s: int


class Merging:
    """Done by the dataset's owner, on record."""

    def __init__(self, ledger: Ledger, keyring: KeyRing, datasets: Datasets, records: Records) -> None:
        self._ledger = ledger
        self._keyring = keyring
        self._datasets = datasets
        self._records = records

    async def merge(self, subject: Subject, dataset_id: str, *, person: str, duplicate: str) -> bytes:
        """Have each of two subjects' withdrawals and refusals stand for both; needs the action `withdraw`.

        They stand for whoever else is one of the two by an earlier merge. Answers with the consents that ended by it.
        Twice changes nothing.
        """
        dataset, one, other = await self._named(subject, dataset_id, person, duplicate)
        async with self._ledger.changing(dataset.owner, narrows={dataset.owner}) as change:
            subjects = [same for half in (one, other) for same in await subjects_of(change.tx, dataset.no, half)]
            of_subject = {same: await self._barriers(change, dataset, same) for same in subjects}
            of_person = set[_Barrier]().union(*of_subject.values())
            ended = [
                record_id
                for same, own in of_subject.items()
                for record_id in await self._spread(change, dataset, of_person - own, same, subject)
            ]
            await link(change, dataset.no, one, other)
            change.enter(merged_entry(subject, dataset, sorted(ended)))
        return orjson.dumps({"dataset": dataset.id, "withdrawn": sorted(ended)})

    async def separate(self, subject: Subject, dataset_id: str, *, person: str, duplicate: str) -> None:
        """Have each of two merged subjects decide for itself alone from now on; needs the action `withdraw`.

        What ended while they were one stays ended, and can be given anew. `Conflicting` where these two were not
        merged with each other.
        """
        dataset, one, other = await self._named(subject, dataset_id, person, duplicate)
        async with self._ledger.changing(dataset.owner) as change:
            if not await unlink(change, dataset.no, one, other):
                raise Conflicting(
                    "not_merged",
                    "These two were not merged with each other.",
                    field="/duplicate",
                    remedy="Name the two that one merge named.",
                )
            change.enter(separated_entry(subject, dataset))

    async def _named(self, subject: Subject, dataset_id: str, person: str, duplicate: str) -> tuple[Dataset, str, str]:
        """The dataset, and the pseudonyms of two subjects of it."""
        subject.require("withdraw")
        dataset = await self._datasets.owned(subject, dataset_id)
        keys = await self._keyring.unlock(dataset.owner)
        one = keys.pseudonym(dataset.subject_of(person))
        other = keys.pseudonym(dataset.subject_of(duplicate, "/duplicate"))
        if one == other:
            raise Invalid("invalid_subject", "They are one subject already.", field="/duplicate")
        return dataset, one, other

    async def _spread(
        self, change: Change, dataset: Dataset, barriers: Set[_Barrier], target: str, subject: Subject
    ) -> list[str]:
        """What the person withdrew or refused ends what `target` gave no later; returns the ids that ended.

        Of what was used up, whoever received by it is told that it is withdrawn.
        """
        for recipient, purpose, at_s in barriers:
            await keep_withdrawal_at(change, dataset.no, target, recipient, purpose, at_s)
        ended = []
        for record in await self._records.of_person(change.tx, dataset.owner, target):
            given_at = record.given_at
            if record.dataset_no != dataset.no or given_at is None or record.state not in WITHDRAWABLE:
                continue
            if any(_covers(barrier, record) and barrier.at_s >= given_at for barrier in barriers):
                caught_up = await self._records.catch_up(change, record)
                if Event.WITHDRAW in STEPS.get(caught_up.state, {}):
                    await self._records.step(change, caught_up, Event.WITHDRAW, dataset, actor=subject.actor())
                    ended.append(record.id)
                else:
                    await self._records.follow_used_up(change, caught_up)
        return ended

    async def _barriers(self, change: Change, dataset: Dataset, pseudonym: str) -> Set[_Barrier]:
        """What was withdrawn or refused, and when the person did so: a merge that ended a record is no decision."""
        about = {"owner": dataset.owner, "dataset_no": dataset.no, "pseudonym": pseudonym}
        withdrawn = {
            _Barrier(row["recipient_id"].replace(EVERYWHERE, ANY), row["purpose"], row["withdrawn_at"])
            for row in await change.tx.all(_WITHDRAWALS, **about)
        }
        records = await self._records.of_person(change.tx, dataset.owner, pseudonym)
        return withdrawn | {
            _Barrier(one.recipient, one.purpose, seconds(one.changed_at))
            for one in records
            if one.dataset_no == dataset.no
            and (one.state is State.REFUSED or (one.state is State.WITHDRAWN and one.kind == CONTACT))
        }


def _covers(barrier: _Barrier, record: Record) -> bool:
    return barrier.recipient in ("", record.recipient) and barrier.purpose in ("", record.purpose)

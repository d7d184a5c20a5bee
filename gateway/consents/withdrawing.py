"""Withdrawing through the dataset's owner: one consent, or all of a person's, or those for a recipient or purpose."""

from __future__ import annotations

from collections.abc import Collection

import orjson
from sqlalchemy import bindparam

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.consents.entries import withdrawn_entry
from gateway.consents.notice_text import CONTACT, DISCLOSURE
from gateway.consents.past import keep_withdrawal
from gateway.consents.record import Record, chosen, in_states
from gateway.consents.records import Records
from gateway.consents.same_person import subjects_of
from gateway.consents.states import STEPS, WITHDRAWABLE, Event
from gateway.consents.tables import consent_record
from gateway.database import Database, Query
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.vault.keyring import KeyRing

_OF_PERSON = Query(
    chosen(
        consent_record.c.owner_id == bindparam("owner"),
        consent_record.c.pseudonym == bindparam("pseudonym"),
        consent_record.c.dataset_no == bindparam("dataset_no"),
        in_states(WITHDRAWABLE),
    )
)


class Withdrawing:
    """No permit follows a withdrawal in the owner's log."""

    def __init__(
        self, database: Database, ledger: Ledger, keyring: KeyRing, datasets: Datasets, records: Records
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._datasets = datasets
        self._records = records

    async def one(self, subject: Subject, consent_id: str) -> None:
        """Withdraw one consent; needs the action `withdraw`. Twice, or after it has ended, changes nothing more.

        What was used up or ran out has ended by itself; withdrawn, it is kept that the person did so, and what was used
        up is followed to whoever received anything by it.
        """
        subject.require("withdraw")
        record = await self._records.get(self._database, consent_id)
        if record is None or record.owner != subject.member:
            raise NotFound
        if record.state in WITHDRAWABLE:
            dataset = await self._datasets.owned(subject, record.dataset)
            about = (record.pseudonym, record.recipient, record.purpose)
            await self._withdraw(subject, dataset, *about, kinds=(record.kind,))

    async def matching(
        self, subject: Subject, dataset_id: str, *, person: str, recipient: str = "", purpose: str = ""
    ) -> bytes:
        """Withdraw every consent of a person, or those for one recipient or purpose; needs the action `withdraw`.

        It reaches every subject that is this person (`Merging`), and stands against consents given earlier and recorded
        later, too. The answer is the same whether anything
        stood or not, but for the number withdrawn. `person` is read as a row's subject is; `Invalid` names
        /subject where no row can have it.
        """
        subject.require("withdraw")
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting("not_personal", "Only personal datasets have consents.", field="dataset")
        named = dataset.subject_of(person)
        keys = await self._keyring.unlock(dataset.owner)
        ids = await self._withdraw(subject, dataset, keys.pseudonym(named), recipient, purpose)
        return orjson.dumps({"dataset": dataset.id, "withdrawn": ids})

    async def _withdraw(
        self,
        subject: Subject,
        dataset: Dataset,
        pseudonym: str,
        recipient: str,
        purpose: str,
        *,
        kinds: Collection[str] = (DISCLOSURE, CONTACT),
    ) -> list[str]:
        async with self._ledger.changing(dataset.owner, narrows={dataset.owner}) as change:
            withdrawn = []
            person = await subjects_of(change.tx, dataset.no, pseudonym)
            for same in person:
                about = {"owner": dataset.owner, "pseudonym": same, "dataset_no": dataset.no}
                found = [Record.of(row) for row in await change.tx.all(_OF_PERSON, **about)]
                of_kind = [one for one in found if one.kind in kinds]
                matching = [one for one in of_kind if recipient in ("", one.recipient) and purpose in ("", one.purpose)]
                withdrawn += [one.id for one in matching if await self._end(change, dataset, one, subject)]
            for same in person if DISCLOSURE in kinds else ():
                await keep_withdrawal(change, dataset.no, same, recipient, purpose)
            ids = sorted(withdrawn)
            change.enter(withdrawn_entry(subject, dataset, ids, recipient, purpose))
        return ids

    async def _end(self, change: Change, dataset: Dataset, record: Record, subject: Subject) -> bool:
        """Whether it was there to withdraw: what the clock has ended is recorded as that."""
        caught_up = await self._records.catch_up(change, record)
        if Event.WITHDRAW not in STEPS.get(caught_up.state, {}):
            await self._records.follow_used_up(change, caught_up)
            return False
        await self._records.step(change, caught_up, Event.WITHDRAW, dataset, actor=subject.actor())
        return True

"""From a row of a sheet to the record that it becomes, and its first event: imported, and permitting nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.consents.events import NEW_EVENT, event_row
from gateway.consents.notice import Notice
from gateway.consents.notice_text import DISCLOSURE, ItemKey, changed_items
from gateway.consents.offline.requesting import request_of
from gateway.consents.offline.sheet import Item, SheetRow
from gateway.consents.proposing import born
from gateway.consents.record import NewRecord, names_of
from gateway.consents.records import NEW_RECORD
from gateway.consents.states import Event, State
from gateway.consents.tables import notice
from gateway.database import Query, Reading, Transaction
from gateway.identity.subject import Subject

_EVIDENCE: Final = "-" * 64
"""Stands for a row's own digest in what rows have in common."""
_NOTICES = Query(select(notice).where(notice.c.dataset_no == bindparam("dataset_no"), notice.c.state != "draft"))


class Notices:
    """The notices of a dataset that were ever in force, as one reading saw them."""

    def __init__(self, dataset: Dataset, found: Sequence[Notice]) -> None:
        self._dataset = dataset
        self._all = found
        self._changed: dict[str, frozenset[ItemKey]] = {}
        self._by_digest = defaultdict(list)
        for one in found:
            self._by_digest[one.sha256].append(one)

    @classmethod
    async def of(cls, reading: Reading, dataset: Dataset) -> Notices:
        """Those of one dataset."""
        return cls(dataset, [Notice.of(row) for row in await reading.all(_NOTICES, dataset_no=dataset.no)])

    def refusal(self, item: Item, given_at: int) -> str | None:
        """Why a consent given then to this item cannot name its notice, as a code; None where it can."""
        known = self._by_digest.get(item.notice_sha256)
        if known is None:
            return "unknown_notice"
        found = self.in_force(item, given_at)
        if found is None:
            return "notice_not_published"
        key = _key(item)
        if key not in found.items or not found.fields_of(key).issuperset(names_of(self._dataset, item.fields)):
            return "not_in_notice"
        return "notice_changed" if key in self._changed_since(found) else None

    def _changed_since(self, found: Notice) -> frozenset[ItemKey]:
        """The items that a later version changed: who consented to the former one would be asked anew."""
        if found.id not in self._changed:
            newest = max(
                (one for one in self._all if one.name == found.name), key=lambda one: one.version, default=found
            )
            self._changed[found.id] = frozenset(changed_items(found.document, newest.document))
        return self._changed[found.id]

    def in_force(self, item: Item, given_at: int) -> Notice | None:
        """The version that the item names, if persons were told it at that instant."""
        return next((one for one in self._by_digest[item.notice_sha256] if one.in_force(given_at)), None)


class Made(NamedTuple):
    """A row, the record to insert for it, and its first event."""

    row: SheetRow
    record: dict[str, Any]
    event: dict[str, Any]

    @property
    def record_id(self) -> str:
        """The record's id."""
        return str(self.record["id"])

    @property
    def sha256(self) -> str:
        """The digest of its first event."""
        return str(self.event["sha256"])


class Becoming:
    """Makes the records of one batch, in a worker thread. One request id for all of a person: one link asks for it.

    Most rows differ in person and evidence alone: what they have in common is made once.
    """

    def __init__(self, dataset: Dataset, notices: Notices, subject: Subject, batch_id: str) -> None:
        self._dataset = dataset
        self._notices = notices
        self._batch_id = batch_id
        self._by = {"member": subject.member, "client": subject.client}
        self._alike: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any]]] = {}

    def of(self, record_id: str, row: SheetRow, now_ms: int) -> Made:
        """The record of that id and the event of one row, at an instant."""
        record, details = self._like(row)
        mine = {
            "id": record_id,
            "pseudonym": row.pseudonym,
            "request_id": request_of(self._batch_id, row.pseudonym),
            "collection": record["collection"].replace(_EVIDENCE, row.evidence_sha256),
            "changed_at": now_ms,
            "recorded_at": now_ms,
        }
        event = event_row(record_id, 1, Event.IMPORT, State.IMPORTED, now_ms, by=self._by, details=details)
        return Made(row, record | mine, event)

    def _like(self, row: SheetRow) -> tuple[dict[str, Any], dict[str, Any]]:
        """The record, and the details of its event, of any row that states the same."""
        key = (row.item, row.given_at, row.expires_at, row.staff, row.store)
        known = self._alike.get(key)
        if known is None:
            told = self._notices.in_force(row.item, row.given_at)
            assert told is not None
            paper = {"channel": "paper", "staff": row.staff, "store": row.store, "batch": self._batch_id}
            new = NewRecord(
                dataset=self._dataset,
                pseudonym="",
                recipient=row.item.recipient,
                purpose=row.item.purpose,
                notice=told,
                fields=frozenset(names_of(self._dataset, row.item.fields)),
                language=row.item.language,
                expires_after_s=row.expires_at - row.given_at,
                age_band="unknown",
                collection=paper | {"evidence_sha256": _EVIDENCE},
                origin="offline",
                given_at=row.given_at,
            )
            record, event = born(new, Event.IMPORT, State.IMPORTED, 0, supersedes=None, by=self._by)
            known = self._alike[key] = (record, json.loads(event["details"]))
        return known


async def insert_made(tx: Transaction, made: Sequence[Made]) -> None:
    """Insert records with their events."""
    await tx.many(NEW_RECORD, [one.record for one in made])
    await tx.many(NEW_EVENT, [one.event for one in made])


def _key(item: Item) -> ItemKey:
    return ItemKey(item.recipient, item.purpose, DISCLOSURE)

"""Consents as they are shown: whole to the dataset's owner, and to a recipient its own item while it stands.

A recipient learns of no refusal (PIPL Art. 16): what does not stand looks like what there never was.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import Clock, seconds
from gateway.consents.events import events_of, is_chained, read
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.record import Record, names_of
from gateway.consents.records import Records
from gateway.consents.states import State
from gateway.database import Database, Query, Reading
from gateway.errors import NotFound
from gateway.identity.subject import Subject

_DATASET = Query(select(dataset_table).where(dataset_table.c.no == bindparam("no")))


class Showing:
    """Without the person: an id, and what was decided."""

    def __init__(self, database: Database, clock: Clock, records: Records, receipts: ConsentReceipts) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._receipts = receipts

    async def one(self, subject: Subject, consent_id: str) -> dict[str, Any]:
        """One consent with its state now and its events, as its owner sees it; `NotFound` for everybody else.

        `history_intact` says whether each event is as it was written, and follows the one before.
        """
        async with self._database.reading() as reading:
            record = await self._records.get(reading, consent_id)
            if record is None or record.owner != subject.member:
                raise NotFound
            row = await reading.one(_DATASET, no=record.dataset_no)
            assert row is not None
            history = await events_of(reading, record.id)
        events = [
            {"event": one["event"], "state": one["state"], "at": one["at"], "by": read(one["by"])} for one in history
        ]
        shown = _shown(record, Dataset.of(row), seconds(self._clock()))
        return shown | {"events": events, "history_intact": is_chained(history)}

    async def receipts(self, subject: Subject, consent_id: str) -> list[dict[str, Any]]:
        """The customer's receipts, for the owner to hand out; to the recipient its copy of what stands."""
        async with self._database.reading() as reading:
            record = await self._records.get(reading, consent_id)
            if record is not None and record.owner == subject.member:
                kept = await self._receipts.of(reading, consent_id)
                return [{"kind": one.kind, "at": one.at, "jws": one.jws} for one in kept]
            return [{"kind": "given", "jws": await self._partners(reading, subject, record)}]

    async def _partners(self, reading: Reading, subject: Subject, record: Record | None) -> str:
        if record is None or record.recipient != subject.member or record.alliance != subject.alliance:
            raise NotFound
        if record.effective(seconds(self._clock())) is not State.GIVEN:
            raise NotFound
        return await self._receipts.for_partner(reading, record)


def _shown(record: Record, dataset: Dataset, now_s: int) -> dict[str, Any]:
    return {
        "id": record.id,
        "dataset": dataset.id,
        "recipient": record.recipient,
        "purpose": record.purpose,
        "kind": record.kind,
        "fields": names_of(dataset, record.fields),
        "channels": list(record.channels),
        "state": record.effective(now_s).value,
        "given_at": record.given_at,
        "expires_at": record.expires_at,
        "ended_at": record.ended_at,
        "uses_left": record.uses_left,
        "disclosed_at": record.disclosed_at,
        "origin": record.origin,
        "evidence_sha256": record.collection.get("evidence_sha256"),
        "notice_sha256": record.notice_sha256,
    }

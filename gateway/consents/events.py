"""Every step of every consent, in a chain of hashes per record: none can be left out, moved or rewritten unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from gateway.canonical import canonical
from gateway.consents.states import Event, State
from gateway.consents.tables import consent_event
from gateway.database import Query, Reading, Row

NEW_EVENT = Query(insert(consent_event))
_NEWEST = Query(
    select(consent_event.c.sha256)
    .where(consent_event.c.record_id == bindparam("record"))
    .order_by(consent_event.c.sequence.desc())
    .limit(1)
)
_OF_RECORD = Query(
    select(consent_event).where(consent_event.c.record_id == bindparam("record")).order_by(consent_event.c.sequence)
)
_HASHED = ("record_id", "sequence", "event", "state", "at", "by", "details", "previous_sha256")


async def events_of(reading: Reading, record_id: str) -> Sequence[Row]:
    """A record's events, in order."""
    return await reading.all(_OF_RECORD, record=record_id)


async def newest_digest(reading: Reading, record_id: str) -> str:
    """What the next event is chained to; '' for the first."""
    row = await reading.one(_NEWEST, record=record_id)
    return "" if row is None else str(row["sha256"])


def event_row(
    record_id: str,
    sequence: int,
    event: Event,
    state: State,
    at_ms: int,
    *,
    by: Mapping[str, str],
    details: Mapping[str, Any],
    previous: str = "",
) -> dict[str, Any]:
    """The row of an event that follows the one of digest `previous`."""
    row = {
        "record_id": record_id,
        "sequence": sequence,
        "event": event.value,
        "state": state.value,
        "at": at_ms,
        "by": canonical(dict(by)).decode(),
        "details": canonical(dict(details)).decode(),
        "previous_sha256": previous,
    }
    return row | {"sha256": _digest(row)}


def is_chained(events: Sequence[Mapping[str, Any] | Row]) -> bool:
    """Whether a record's events, in order, are what was written: each of its own content, each after the one before."""
    previous = ""
    for event in events:
        if event["previous_sha256"] != previous or event["sha256"] != _digest(event):
            return False
        previous = event["sha256"]
    return True


def _digest(row: Mapping[str, Any] | Row) -> str:
    return hashlib.sha256(canonical([row[name] for name in _HASHED])).hexdigest()


def read(text: str) -> dict[str, Any]:
    """The details of an event, or by whom it is."""
    value: dict[str, Any] = json.loads(text)
    return value

"""What a log's own entries say was disclosed: per member how many accesses, and how many records, in a period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.database import Database, Reading
from gateway.ledger.entries import Effect, Kind
from gateway.ledger.stored import entries, state

_AT_ONCE = 500
_MARKS = (b'"kind":"access"', b'"opening":')


@dataclass(slots=True)
class Disclosures:
    """Permits to open, by the member that asked. A permit that found nothing counts as an access of no record."""

    accesses: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count one entry, if it discloses something."""
        if entry["kind"] == Kind.ACCESS and entry.get("effect") == Effect.PERMIT and "opening" in entry:
            member = entry["actor"]["member"]
            self.accesses[member] += 1
            self.records[member] += _records(entry["opening"])


async def disclosures(database: Database, log: str, since_ms: int, until_ms: int) -> Disclosures:
    """Those entered at or after `since_ms` and before `until_ms`; `UnknownLog` where there is none of that id.

    Reads the period's entries, a few hundred at a time, and looks for its beginning by halves.
    """
    found = Disclosures()
    size = (await state(database, log)).size
    at = await _first_at(database, log, since_ms, size)
    while at < size:
        rows = await entries(database, log, at, min(_AT_ONCE, size - at))
        for row in rows:
            body = bytes(row["body"])
            if all(mark in body for mark in _MARKS):
                entry = orjson.loads(body)
                if entry["time"] >= until_ms:
                    return found
                found.add(entry)
        at += len(rows)
    return found


async def _first_at(reading: Reading, log: str, time_ms: int, size: int) -> int:
    """The index of the first entry at or after an instant: times never go back within a log."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        row = (await entries(reading, log, middle, 1))[0]
        if orjson.loads(bytes(row["body"]))["time"] < time_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _records(opening: Mapping[str, Any]) -> int:
    """How many records: listed in the body, or counted there and listed beside it."""
    if "records" in opening:
        return int(opening["records"]["count"])
    return sum(len(group["records"]) for group in opening["groups"])

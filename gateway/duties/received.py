"""Who has received something under an agreement, as the owner's log says: perhaps more than was, never less."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.agreements import Agreement
from gateway.database import Database
from gateway.ledger.stored import entries, state

_AT_ONCE: Final = 512


async def received_under(database: Database, agreement: Agreement) -> set[str]:
    """The members that an access entry lets open at least one record under this agreement. Reads the whole log once."""
    found: set[str] = set()
    async with database.reading() as snapshot:
        size = (await state(snapshot, agreement.owner)).size
    mark = f'"agreement":"{agreement.id}@'.encode()
    for first in range(0, size, _AT_ONCE):
        for row in await entries(database, agreement.owner, first, min(_AT_ONCE, size - first)):
            body = bytes(row["body"])
            if mark in body and (member := _recipient(json.loads(body))) is not None:
                found.add(member)
    return found


def _recipient(entry: dict[str, Any]) -> str | None:
    """Who received by an entry: a permit of access that opens anything."""
    opening = entry.get("opening")
    if entry.get("kind") != "access" or entry.get("effect") != "permit" or not opening:
        return None
    if opening.get("groups") == []:
        return None
    return str(entry["actor"]["member"])

"""Who has received something under an agreement, as the owner's log says: perhaps more than was, never less.

An amendment is no end: who goes on to share all of it holds on, under the agreement that replaced it, what it received.
"""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.agreements import Agreement, Agreements, Terms
from gateway.database import Database
from gateway.ledger.stored import entries, state

_AT_ONCE: Final = 512


async def owing(database: Database, agreements: Agreements, ended: Agreement) -> set[str]:
    """Who received under an agreement that has ended, or under one that it replaced, and holds it on under no other."""
    return await _holding(database, agreements, ended) - {ended.owner} - await _held_on(agreements, ended)


async def _holding(database: Database, agreements: Agreements, found: Agreement) -> set[str]:
    """Who received under an agreement, or holds on under it what it received under the one that it replaced."""
    members = await received_under(database, found)
    amended = found.terms.amends if found.terms else None
    earlier = await agreements.load(amended) if amended else None
    if earlier is not None and earlier.superseded_by == found.id:
        members |= await _holding(database, agreements, earlier) & await _held_on(agreements, earlier)
    return members


async def _held_on(agreements: Agreements, ended: Agreement) -> set[str]:
    """Who may go on to hold everything under the agreement that replaced this one; nobody, if that shares less."""
    later = await agreements.load(ended.superseded_by) if ended.superseded_by else None
    if later is None or later.terms is None or ended.terms is None or not _shares_all(ended.terms, later.terms):
        return set()
    return {later.recipient, *later.terms.third_parties}


def _shares_all(before: Terms, after: Terms) -> bool:
    """Whether each dataset is shared still, with each of its fields and rows."""
    pairs = [(after.term_for(term.dataset), term) for term in before.datasets]
    return all(later is not None and later.covers(term) for later, term in pairs)


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

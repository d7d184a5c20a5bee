"""Visits as they are kept: begun over a link, found by their cookie, over after half an hour."""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam, delete, insert, select

from gateway.consents.asking.links import Link
from gateway.consents.asking.secret import code_key, hashed, new_token
from gateway.consents.asking.tables import visit as table
from gateway.consents.asking.visit import VISIT_MS, Visit, persons_as
from gateway.database import Query, Reading, Transaction
from gateway.identifiers import random_id

_NEW = Query(insert(table))
_FIND = Query(
    select(table).where(
        table.c.cookie_sha256 == bindparam("cookie"), table.c.ends_at > bindparam("now", type_=BigInteger)
    )
)
_LEAVE = Query(delete(table).where(table.c.id == bindparam("id")))
_FORGET = Query(delete(table).where(table.c.ends_at < bindparam("before", type_=BigInteger)))


async def begin(tx: Transaction, link: Link, now_ms: int) -> tuple[Visit, str]:
    """A new visit over a link, and the value of its cookie."""
    cookie = new_token()
    row = {
        "id": random_id(),
        "kind": link.kind.value,
        "request_id": link.request_id,
        "persons": persons_as(link.persons),
        "channel": link.channel.value,
        "language": link.language,
        "term": link.term,
        "confirmed_until": None,
    }
    kept = {"code_mac": None, "code_expires_at": None, "attempts": 0, "ends_at": now_ms + VISIT_MS}
    await tx.run(_NEW, **row, **kept, cookie_sha256=hashed(cookie))
    return Visit.of(row, code_key(cookie)), cookie


async def find(reading: Reading, cookie: str, now_ms: int) -> Visit | None:
    """The visit of a cookie, unless it is over."""
    row = await reading.one(_FIND, cookie=hashed(cookie), now=now_ms)
    return None if row is None else Visit.of(row, code_key(cookie))


async def leave(tx: Transaction, visit: Visit) -> None:
    """End a visit now."""
    await tx.run(_LEAVE, id=visit.id)


async def forget(tx: Transaction, now_ms: int) -> None:
    """Drop the visits that are over."""
    await tx.run(_FORGET, before=now_ms)

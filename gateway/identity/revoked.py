"""Tokens that are over before they expire, and whether a token's standing holds at this instant.

A revoked token is a row, by the name that entries give it, until it would have expired. The row is read by the
statements that read the client's version, so it counts on every process from its commit on.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from sqlalchemy import Text, bindparam, delete, insert, select

from gateway.database import Database, Query, Reading, Transaction
from gateway.identity.subject import Subject
from gateway.identity.tables import client, is_revoked, revoked_token, roll

_REVOKE = Query(insert(revoked_token))
_REVOKED = Query(select(is_revoked(bindparam("token", type_=Text)).label("revoked")))
_PURGE = Query(delete(revoked_token).where(revoked_token.c.expires_at <= bindparam("now")))
_STANDING = Query(
    select(
        client.c.state,
        client.c.version,
        roll.c.state.label("member_state"),
        is_revoked(bindparam("token", type_=Text)).label("revoked"),
    )
    .join(roll, roll.c.id == client.c.member_id)
    .where(client.c.id == bindparam("client"))
)
_GRACE_S: Final = 60
"""Clocks of several processes may differ: a row is kept for a while after its token is over for all of them."""


class Standing(Enum):
    """What has become of a token since it was issued."""

    HOLDS = auto()
    SUSPENDED = auto()
    """Its member is suspended; all else holds."""
    REVOKED = auto()
    CHANGED = auto()
    """Its client was revoked, or a key of it changed."""


async def standing(reading: Reading, subject: Subject) -> Standing:
    """How the subject's token stands at this instant, in one statement."""
    row = await reading.one(_STANDING, client=subject.client, token=subject.token)
    if row is None or row["state"] != "active" or row["version"] != subject.client_version:
        return Standing.CHANGED
    if row["revoked"]:
        return Standing.REVOKED
    return Standing.HOLDS if row["member_state"] == "admitted" else Standing.SUSPENDED


async def is_revoked_token(reading: Reading, subject: Subject) -> bool:
    """Whether the subject's token is revoked."""
    row = await reading.one(_REVOKED, token=subject.token)
    return row is not None and bool(row["revoked"])


async def revoke(tx: Transaction, subject: Subject) -> bool:
    """Revoke the subject's token; False if it was revoked already. The caller narrows, and enters it."""
    if await is_revoked_token(tx, subject):
        return False
    await tx.run(_REVOKE, token=subject.token, expires_at=subject.expires_at)
    return True


async def purge(database: Database, now_s: int) -> None:
    """Forget tokens that have expired (epoch seconds): they are refused without a row."""
    async with database.transaction() as tx:
        await tx.run(_PURGE, now=now_s - _GRACE_S)

"""Tokens that are over before they expire, and whether a token's standing holds at this instant.

A revoked token is a row, by the name that entries give it, until a day after it would have expired; so is a key of the
gateway's own that somebody else may hold, by its `kid`. The row is read by the statements that read the client's
version, so it counts on every process from its commit on.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from gateway.database import Database, Query, Reading, Transaction
from gateway.errors import NotAuthenticated, Reason, Refused
from gateway.identity.subject import Subject
from gateway.identity.tables import client, is_revoked, revoked_token, roll
from gateway.identity.tokens import LIFETIME_SECONDS

_REVOKE = Query(insert(revoked_token))
_REVOKED = Query(select(is_revoked().label("revoked")))
_PURGE = Query(delete(revoked_token).where(revoked_token.c.expires_at <= bindparam("now")))
_STANDING = Query(
    select(
        client.c.state,
        client.c.version,
        roll.c.state.label("member_state"),
        is_revoked().label("revoked"),
    )
    .join(roll, roll.c.id == client.c.member_id)
    .where(client.c.id == bindparam("client"))
)
_KEPT_S: Final = 24 * 3600
"""How long a row outlives its token: an upload may last for hours, and asks at its end; and clocks may differ."""


class Standing(Enum):
    """What has become of a token since it was issued."""

    HOLDS = auto()
    SUSPENDED = auto()
    """Its member is suspended; all else holds."""
    REVOKED = auto()
    CHANGED = auto()
    """Its client was revoked, or a key of it changed."""


class TokenOver(NotAuthenticated):
    """The token was revoked, its client was, or a key of it changed, while it was being used."""

    def __init__(self, subject: Subject) -> None:
        super().__init__("invalid_token", "The credentials are missing or do not hold.")
        self._scheme = subject.token_type

    def headers(self) -> list[tuple[str, str]]:
        """The challenge of RFC 9449 section 7.1, or RFC 6750 section 3."""
        return [("WWW-Authenticate", f'{self._scheme} error="invalid_token"')]


async def standing(reading: Reading, subject: Subject) -> Standing:
    """How the subject's token stands at this instant, in one statement."""
    row = await reading.one(_STANDING, client=subject.client, token=subject.token, signed_by=subject.signed_by)
    if row is None or row["state"] != "active" or row["version"] != subject.client_version:
        return Standing.CHANGED
    if row["revoked"]:
        return Standing.REVOKED
    return Standing.HOLDS if row["member_state"] == "admitted" else Standing.SUSPENDED


async def require_standing(reading: Reading, subject: Subject) -> None:
    """For an act at its end, under the locks that it holds: the subject's token stands as when it was issued.

    So nothing follows the entry that ended it, however long the act had been under way. `TokenOver` otherwise, and
    `Refused` for a member that is suspended. Its time may be over: it was not when the act began.
    """
    stands = await standing(reading, subject)
    if stands is Standing.SUSPENDED:
        raise Refused((Reason("MEMBER_SUSPENDED", "9.2.3"),))
    if stands is not Standing.HOLDS:
        raise TokenOver(subject)


async def is_revoked_token(reading: Reading, subject: Subject) -> bool:
    """Whether the subject's token is revoked, by itself or with all that its key signed."""
    row = await reading.one(_REVOKED, token=subject.token, signed_by=subject.signed_by)
    return row is not None and bool(row["revoked"])


async def revoke(tx: Transaction, subject: Subject) -> bool:
    """Revoke the subject's token; False if it was revoked already. The caller narrows, and enters it."""
    if await is_revoked_token(tx, subject):
        return False
    await tx.run(_REVOKE, token=subject.token, expires_at=subject.expires_at)
    return True


async def revoke_all_by(tx: Transaction, kid: str, now_s: int) -> None:
    """Revoke every token that the gateway's key of this `kid` has signed, or signs where its end is not known yet.

    `now_s` in epoch seconds. The caller narrows, and enters it.
    """
    await tx.run(_REVOKE, token=kid, expires_at=now_s + LIFETIME_SECONDS)


async def purge(database: Database, now_s: int) -> None:
    """Forget tokens that expired a day before (epoch seconds): they are refused without a row."""
    async with database.transaction() as tx:
        await tx.run(_PURGE, now=now_s - _KEPT_S)

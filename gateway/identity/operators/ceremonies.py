"""One-time challenges, kept here and bound to the browser that asked for them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select

from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.identity.operators.refusals import SignInRefused
from gateway.identity.operators.tables import ceremony
from gateway.identity.security_log import SecurityLog

LIFE_MS: Final = 300_000
CHALLENGE_BYTES: Final = 32

_BEGIN = Query(insert(ceremony))
_FORGET = Query(delete(ceremony).where(ceremony.c.expires_at <= bindparam("now")))
_FIND = Query(select(ceremony).where(ceremony.c.ticket_sha256 == bindparam("ticket")))
_REDEEM = Query(delete(ceremony).where(ceremony.c.ticket_sha256 == bindparam("ticket")))


class CeremonyKind(StrEnum):
    """What the challenge is for."""

    SIGN_IN = "sign_in"
    ENROL = "enrol"
    ADD_PASSKEY = "add_passkey"
    STEP_UP = "step_up"
    OIDC_SIGN_IN = "oidc_sign_in"
    OIDC_STEP_UP = "oidc_step_up"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a challenge was made for. Absent parts are empty."""

    kind: CeremonyKind
    challenge: bytes
    operator: str
    session: str
    act: str
    detail: Mapping[str, Any]


class Ceremonies:
    """Begins ceremonies, and lets each be answered once, within five minutes, by the browser that holds its ticket."""

    def __init__(self, database: Database, clock: Clock, log: SecurityLog) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    async def begin(
        self,
        kind: CeremonyKind,
        *,
        operator: str = "",
        session: str = "",
        act: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> tuple[str, bytes]:
        """A ticket for the browser's cookie, and a challenge of 32 random bytes.

        Where an act is named, its SHA-256 follows the random bytes: whatever answers the challenge covers the act.
        """
        ticket, now = secrets.token_urlsafe(32), self._clock()
        challenge = secrets.token_bytes(CHALLENGE_BYTES) + bytes.fromhex(act)
        async with self._database.transaction() as tx:
            await tx.run(_FORGET, now=now)
            await tx.run(
                _BEGIN,
                ticket_sha256=hashed(ticket),
                kind=kind.value,
                challenge=challenge,
                operator_id=operator,
                session_sha256=session,
                act_sha256=act,
                detail=json.dumps(dict(detail or {})),
                expires_at=now + LIFE_MS,
            )
        return ticket, challenge

    async def redeem(self, ticket: str, *kinds: CeremonyKind) -> Ceremony:
        """The ceremony of a ticket, of one of these kinds; it is over now, whatever comes of it.

        Else `SignInRefused`: unknown, answered before, expired, or begun for something else.
        """
        async with self._database.transaction() as tx:
            row = await tx.one(_FIND, ticket=hashed(ticket))
            taken = await tx.run(_REDEEM, ticket=hashed(ticket))
        if row is None or taken != 1:
            raise self._refused("CEREMONY_UNKNOWN")
        kind = CeremonyKind(row["kind"])
        if kind not in kinds:
            raise self._refused("CEREMONY_KIND")
        if row["expires_at"] <= self._clock():
            raise self._refused("CEREMONY_EXPIRED")
        return Ceremony(
            kind,
            bytes(row["challenge"]),
            row["operator_id"],
            row["session_sha256"],
            row["act_sha256"],
            json.loads(row["detail"]),
        )

    def _refused(self, code: str) -> SignInRefused:
        self._log.note(code)
        return SignInRefused(code)


def hashed(secret: str) -> str:
    """What is kept of a random secret: its SHA-256, hexadecimal."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

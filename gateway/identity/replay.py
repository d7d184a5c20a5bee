"""Single use: what was seen once within its window is not accepted again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final, Protocol

from sqlalchemy import bindparam, delete
from sqlalchemy.dialects.postgresql import insert

from gateway.clock import Clock, seconds
from gateway.database import Database, Query, Transaction
from gateway.errors import Unavailable
from gateway.identity.base64url import encode
from gateway.identity.tables import spent_assertion


class ReplayUnavailable(Unavailable):
    """The replay window cannot say whether something was seen before, so nothing is accepted."""

    def __init__(self) -> None:
        super().__init__("replay_window_unavailable", "The replay window cannot answer now.")


class ReplayWindow(Protocol):
    """Remembers (kind, owner, jti) until a second of the epoch. Bounded by time, never by count."""

    async def reserve(self, kind: str, owner: str, jti: str, until: int) -> bool:
        """True exactly once per (kind, owner, jti) before `until`; `Unavailable` where that cannot be told."""


class Spending(Protocol):
    """A reservation still to be made, inside the transaction of whoever acts on it."""

    async def use(self, tx: Transaction) -> bool:
        """True exactly once; it holds if the transaction commits."""


class AssertionWindow(ReplayWindow, Protocol):
    """A replay window for client assertions: durable, and part of a transaction where one is at hand."""

    def spending(self, kind: str, owner: str, jti: str, until: int) -> Spending:
        """What `reserve` would reserve."""


class ProofWindow(ReplayWindow, Protocol):
    """A replay window for DPoP proofs, with the secret of the nonces that stand and fall with its memory."""

    def nonce_secret(self) -> bytes:
        """At least 32 random bytes, new whenever reservations may have been lost."""


_GENERATION_SECONDS: Final = 16


class MemoryWindow:
    """In this process: the embedded default. The secret is new at each start.

    Sixteen bytes per reservation, dropped in generations of sixteen seconds. Time never runs backwards here:
    what a later instant closed stays closed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._generations: dict[int, set[bytes]] = {}
        self._latest = 0

    def nonce_secret(self) -> bytes:
        """See `ProofWindow`."""
        return self._secret

    async def reserve(self, kind: str, owner: str, jti: str, until: int) -> bool:
        """See `ReplayWindow`."""
        now = seconds(self._clock())
        if now > self._latest:
            self._latest = now
            self._forget(now)
        if until <= self._latest:
            return False
        name = name_of(kind, owner, jti)
        for generation in self._generations.values():
            if name in generation:
                return False
        self._generations.setdefault(until // _GENERATION_SECONDS, set()).add(name)
        return True

    def _forget(self, now: int) -> None:
        for generation in [g for g in self._generations if (g + 1) * _GENERATION_SECONDS <= now]:
            del self._generations[generation]


def name_of(kind: str, owner: str, jti: str) -> bytes:
    """Sixteen bytes that stand for the triple."""
    return blake2b(f"{kind}\0{owner}\0{jti}".encode(), digest_size=16).digest()


_SPEND = Query(insert(spent_assertion).on_conflict_do_nothing())
_PURGE = Query(delete(spent_assertion).where(spent_assertion.c.expires_at < bindparam("before")))
_PURGE_EVERY_SECONDS: Final = 60
_KEEP_SECONDS: Final = 3600


class DatabaseWindow:
    """Durable and shared by all processes of the database: for client assertions.

    The row is committed before `reserve` answers, or with what else its transaction does. Rows are kept an hour past
    their end, so that a clock set back by less opens nothing.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._purged = 0

    async def reserve(self, kind: str, owner: str, jti: str, until: int) -> bool:
        """See `ReplayWindow`; `owner` is the client."""
        async with self._database.transaction() as tx:
            return await self.use(tx, kind, owner, jti, until)

    def spending(self, kind: str, owner: str, jti: str, until: int) -> Spending:
        """See `AssertionWindow`."""
        return _Spending(self, kind, owner, jti, until)

    async def use(self, tx: Transaction, kind: str, owner: str, jti: str, until: int) -> bool:
        """As `reserve`, within a transaction; whoever comes second waits for the first one's end."""
        now = seconds(self._clock())
        if until <= now:
            return False
        if now - self._purged >= _PURGE_EVERY_SECONDS:
            await tx.run(_PURGE, before=(now - _KEEP_SECONDS) * 1000)
            self._purged = now
        digest = encode(sha256(f"{kind}\0{jti}".encode()).digest())
        return await tx.run(_SPEND, client_id=owner, jti_sha256=digest, expires_at=until * 1000) == 1


@dataclass(frozen=True, slots=True)
class _Spending:
    window: DatabaseWindow
    kind: str
    owner: str
    jti: str
    until: int

    async def use(self, tx: Transaction) -> bool:
        return await self.window.use(tx, self.kind, self.owner, self.jti, self.until)

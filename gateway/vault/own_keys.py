"""The gateway's own keys of one use, as this process knows them: which one signs, and which are published.

Another process may rotate them. Each process reads the rows again every `REREAD_S` seconds, and whoever signs what
must be accepted elsewhere asks for `follow` first; so a set that is used is never older than `FOLLOW_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from gateway.clock import MILLISECONDS, Clock
from gateway.database import Database, Query, Row
from gateway.vault.errors import KeysUnavailable
from gateway.vault.keyring import KeyRing
from gateway.vault.signing import SigningKey, SigningState, public_jwk
from gateway.vault.tables import signing_key

REREAD_S: Final = 5
"""How often a server reads its keys again."""

FOLLOW_S: Final = 30
"""Within this every process has followed a change, its clock's error included; what is older is not signed with."""

_LOOKUP_PAUSE_MS: Final = 1000
_OF_USE = Query(
    select(signing_key)
    .where(signing_key.c.use == bindparam("use"))
    .order_by(signing_key.c.created_at, signing_key.c.kid)
)
_SIGNS_OR_WILL: Final = (SigningState.PUBLISHED, SigningState.ACTIVE)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of the gateway's own, by its row. Instants in milliseconds since the epoch, None if still to come."""

    kid: str
    public: bytes
    state: SigningState
    created_at: int
    active_at: int | None
    retiring_at: int | None

    @classmethod
    def of(cls, row: Row) -> OwnKey:
        """The key of a row of `signing_key`; `KeysUnavailable` for a state that this version does not know."""
        try:
            state = SigningState(row["state"])
        except ValueError:
            raise KeysUnavailable("A signing key has a state that this gateway does not know.") from None
        return cls(row["kid"], bytes(row["public"]), state, row["created_at"], row["active_at"], row["retiring_at"])

    def jwk(self) -> dict[str, str]:
        """The public JWK."""
        return public_jwk(self.public)

    def dated_jwk(self) -> dict[str, str | int]:
        """The JWK, with `exp` (epoch seconds) once it signs no more, as OpenID Federation keeps historical keys:
        what claims to have been signed later is not ours."""
        if self.retiring_at is None:
            return {**self.jwk()}
        return {**self.jwk(), "exp": self.retiring_at // MILLISECONDS + FOLLOW_S}


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a use at one instant. Without `signing` the active key cannot be unlocked, and nothing is signed."""

    signing: SigningKey | None
    keys: tuple[OwnKey, ...]

    def live(self) -> tuple[OwnKey, ...]:
        """The keys that verify: all but the retired ones."""
        return tuple(key for key in self.keys if key.state is not SigningState.RETIRED)


class OwnKeys:
    """Holds the set, and hands every new one to `taker`. One per use and process; `read` it before anything else."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Clock, use: str, taker: Callable[[KeySet], None]
    ) -> None:
        self.use = use
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._taker = taker
        self._alone = asyncio.Lock()
        self._private: dict[str, SigningKey] = {}
        self._held = KeySet(None, ())
        self._read_at: int | None = None
        self._looked_up_at: int | None = None

    @property
    def held(self) -> KeySet:
        """The set as it was last read."""
        return self._held

    async def read(self) -> None:
        """Read the rows; private halves that are not held yet are unlocked. `KeysUnavailable` if none can sign."""
        async with self._alone:
            await self._read()
        if self._held.signing is None:
            raise KeysUnavailable("There is no active signing key for this use.")

    async def follow(self, unknown: str | None = None) -> None:
        """Read the rows if the set is older than `FOLLOW_S`, or for a kid that is not in it: once a second at most."""
        if unknown is not None and self._may_look_up(unknown):
            self._looked_up_at = self._clock()
            await self.read()
        elif self._is_old():
            async with self._alone:
                if self._is_old():  # of many who wait, the first has read for all
                    await self._read()

    def _is_old(self) -> bool:
        return self._read_at is None or not 0 <= self._clock() - self._read_at < FOLLOW_S * MILLISECONDS

    def _may_look_up(self, kid: str) -> bool:
        known = any(key.kid == kid for key in self._held.keys)
        last = self._looked_up_at
        return not known and (last is None or not 0 <= self._clock() - last < _LOOKUP_PAUSE_MS)

    async def _read(self) -> None:
        began = self._clock()
        rows = await self._database.all(_OF_USE, use=self.use)
        keys = tuple(OwnKey.of(row) for row in rows)
        private = {}
        for key, row in zip(keys, rows, strict=True):
            if key.state in _SIGNS_OR_WILL and (half := await self._private_half(key, row)) is not None:
                private[key.kid] = half
        active = next((key.kid for key in keys if key.state is SigningState.ACTIVE), "")
        found = KeySet(private.get(active), keys)
        self._private, self._read_at = private, began
        if found != self._held:
            self._held = found
            self._taker(found)

    async def _private_half(self, key: OwnKey, row: Row) -> SigningKey | None:
        """Unlocked once. A published key that cannot be unlocked yet is tried again at the next reading."""
        if (known := self._private.get(key.kid)) is not None:
            return known
        try:
            return await self._keyring.unwrap_signing_key(row)
        except KeysUnavailable:
            return None

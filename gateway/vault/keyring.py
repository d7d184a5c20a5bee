"""The keys of members and of the gateway itself: made, stored wrapped, unlocked for a short while."""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, insert, select, update

from gateway.clock import Clock
from gateway.database import Database, Query, Reading, Row, Transaction
from gateway.errors import Invalid
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import KeysUnavailable
from gateway.vault.member_keys import KeyState, MemberKeys, Use
from gateway.vault.provider import KekProvider
from gateway.vault.signing import SigningKey, SigningState
from gateway.vault.subject_key import KEY_BYTES, SubjectKey, WrappedSubjectKey, check_value
from gateway.vault.tables import member_key, signing_key

__all__ = ["KeyRing", "KeyState", "MemberKeys", "SigningKey", "SubjectKey", "Use", "WrappedSubjectKey"]

LONGEST_LIFE_MS = 300_000
OWN = "gateway"
"""Whose keys are the gateway's own, where members have theirs; no member has this id."""

_NEW = Query(insert(member_key))
_OF_MEMBER = Query(
    select(
        member_key.c.use,
        member_key.c.version,
        member_key.c.provider_key_id,
        member_key.c.wrapped,
        member_key.c.check_value,
        member_key.c.state,
    ).where(member_key.c.member_id == bindparam("member_id"))
)
_NEWEST = Query(
    select(member_key.c.version)
    .where(member_key.c.member_id == bindparam("member_id"), member_key.c.use == bindparam("use"))
    .order_by(member_key.c.version.desc())
    .limit(1)
)
_RETIRE = Query(
    update(member_key)
    .values(state=KeyState.DECRYPT_ONLY.value)
    .where(
        member_key.c.member_id == bindparam("of_member"),
        member_key.c.use == bindparam("of_use"),
        member_key.c.state == KeyState.ACTIVE.value,
    )
)
_NEW_SIGNING = Query(insert(signing_key))
_SIGNING = Query(
    select(
        signing_key.c.kid, signing_key.c.use, signing_key.c.public, signing_key.c.provider_key_id, signing_key.c.wrapped
    ).where(signing_key.c.use == bindparam("use"), signing_key.c.state == SigningState.ACTIVE.value)
)


@dataclass(slots=True)
class _Held:
    """One member's unlocked keys: when their rows were read, and how often they were handed out."""

    keys: MemberKeys
    loaded_at: int
    uses: int = 0


class KeyRing:
    """Unlocks keys through the provider and holds member keys for at most five minutes.

    An unlocked set is handed out for half of `life_ms` and at most `most_uses` times, and works for `life_ms`; so a
    batch begun with it has half of that to finish. A key disabled in the database is out of use within `life_ms`.
    Whatever cannot be unlocked raises `KeysUnavailable`. Made after the process has forked, and never shared with a
    child.
    """

    def __init__(
        self,
        database: Database,
        provider: KekProvider,
        clock: Clock,
        *,
        life_ms: int = LONGEST_LIFE_MS,
        most_uses: int = 1_000_000,
    ) -> None:
        if not 0 < life_ms <= LONGEST_LIFE_MS or most_uses < 1:
            raise Invalid("invalid_setting", "Member keys are held for 1 ms to 300 s.", field="life_ms")
        self._database = database
        self._provider = provider
        self._clock = clock
        self._life_ms = life_ms
        self._most_uses = most_uses
        self._held: dict[str, _Held] = {}

    async def create_member_keys(self, tx: Transaction, member_id: str, now_ms: int) -> None:
        """Draw version 1 of a member's keys, one per use, and store them wrapped. `AlreadyExists` the second time."""
        for use in Use:
            await self._draw(tx, member_id, use, 1, now_ms)

    async def renew_own_index_key(self, tx: Transaction, now_ms: int) -> int:
        """Draw the next version of the gateway's own index key and return it; what the former ones found is found on.

        Every process takes it up within half of `life_ms`. `KeysUnavailable` where there is none yet.
        """
        newest = await tx.one(_NEWEST, member_id=OWN, use=Use.INDEX.value)
        if newest is None:
            raise KeysUnavailable("The gateway has no index key of its own.")
        await tx.run(_RETIRE, of_member=OWN, of_use=Use.INDEX.value)
        version = int(newest["version"]) + 1
        await self._draw(tx, OWN, Use.INDEX, version, now_ms)
        return version

    async def _draw(self, tx: Transaction, member_id: str, use: Use, version: int, now_ms: int) -> None:
        key, provider = os.urandom(KEY_BYTES), self._provider
        bound = _bound(member_id, use, version, provider.key_id)
        await tx.run(
            _NEW,
            member_id=member_id,
            use=use.value,
            version=version,
            provider_key_id=provider.key_id,
            wrapped=await asyncio.to_thread(provider.wrap, key, bound),
            check_value=_check(key, member_id, use, version),
            state=KeyState.ACTIVE.value,
            created_at=now_ms,
        )

    async def unlock(self, member_id: str) -> MemberKeys:
        """The member's keys, for one batch: see `MemberKeys`. `KeysUnavailable` when there are none in use."""
        held = self._held.get(member_id)
        if held is not None and self._lasts(held.loaded_at, self._life_ms // 2):
            held.uses += 1
            if held.uses <= self._most_uses:
                return held.keys
        return await self._load(member_id)

    async def create_signing_key(
        self, tx: Transaction, use: str, now_ms: int, *, state: SigningState = SigningState.ACTIVE
    ) -> SigningKey:
        """Draw an Ed25519 key and store its private half wrapped. `AlreadyExists` if the use has one in that state."""
        key = SigningKey(use, Ed25519PrivateKey.generate())
        provider_key_id = self._provider.key_id
        aad = _signing_bound(key.kid, use, provider_key_id)
        wrapped = await asyncio.to_thread(self._provider.wrap, key.private.private_bytes_raw(), aad)
        await tx.run(
            _NEW_SIGNING,
            kid=key.kid,
            use=use,
            public=key.public,
            provider_key_id=provider_key_id,
            wrapped=wrapped,
            state=state.value,
            created_at=now_ms,
            active_at=now_ms if state is SigningState.ACTIVE else None,
            retiring_at=None,
            retired_at=None,
        )
        return key

    async def signing_key(self, use: str, *, reading: Reading | None = None) -> SigningKey:
        """The active key of a use, or `KeysUnavailable`. `reading`: the transaction that has just made it."""
        row = await (reading or self._database).one(_SIGNING, use=use)
        if row is None:
            raise KeysUnavailable("There is no active signing key for this use.")
        return await self.unwrap_signing_key(row)

    async def unwrap_signing_key(self, row: Row) -> SigningKey:
        """The key of a row of `signing_key` with its private half, or `KeysUnavailable`."""
        aad = _signing_bound(row["kid"], row["use"], row["provider_key_id"])
        raw = await asyncio.to_thread(self._provider.unwrap, row["wrapped"], aad)
        key = SigningKey(row["use"], Ed25519PrivateKey.from_private_bytes(raw))
        if key.public != row["public"] or key.kid != row["kid"]:
            raise KeysUnavailable("A signing key is not the one that its row names.")
        return key

    async def _load(self, member_id: str) -> MemberKeys:
        loaded_at = self._clock()
        rows = await self._database.all(_OF_MEMBER, member_id=member_id)
        keys = await asyncio.to_thread(self._unwrap, member_id, rows, loaded_at)
        self._held[member_id] = _Held(keys, loaded_at)
        return keys

    def _unwrap(self, member_id: str, rows: Sequence[Row], loaded_at: int) -> MemberKeys:
        keys: dict[Use, dict[int, bytes]] = {use: {} for use in Use}
        active: dict[Use, int] = {}
        for row in rows:
            use, version, state = _named(row)
            if state is KeyState.DISABLED:
                continue
            keys[use][version] = self._unwrap_one(member_id, use, version, row)
            if state is KeyState.ACTIVE:
                active[use] = max(version, active.get(use, 0))
        if not any(keys.values()):
            raise KeysUnavailable("The member has no key in use.")
        return MemberKeys(member_id, keys, active, lambda: self._lasts(loaded_at, self._life_ms))

    def _unwrap_one(self, member_id: str, use: Use, version: int, row: Row) -> bytes:
        key = self._provider.unwrap(row["wrapped"], _bound(member_id, use, version, row["provider_key_id"]))
        if not hmac.compare_digest(_check(key, member_id, use, version), row["check_value"]):
            raise KeysUnavailable("A member key fails its check value.")
        return key

    def _lasts(self, loaded_at: int, life_ms: int) -> bool:
        return 0 <= self._clock() - loaded_at < life_ms

    def __repr__(self) -> str:
        return "KeyRing(keys not shown)"


def _named(row: Row) -> tuple[Use, int, KeyState]:
    try:
        return Use(row["use"]), int(row["version"]), KeyState(row["state"])
    except ValueError:
        raise KeysUnavailable("A member key has a use or a state that this gateway does not know.") from None


def _bound(member_id: str, use: Use, version: int, provider_key_id: str) -> bytes:
    named = (member_id.encode(), use.value.encode(), version.to_bytes(4, "big"), provider_key_id.encode())
    return length_prefixed(b"gw1 member key", *named)


def _check(key: bytes, member_id: str, use: Use, version: int) -> bytes:
    return check_value(key, member_id.encode(), use.value.encode(), version.to_bytes(4, "big"))


def _signing_bound(kid: str, use: str, provider_key_id: str) -> bytes:
    return length_prefixed(b"gw1 signing key", kid.encode(), use.encode(), provider_key_id.encode())

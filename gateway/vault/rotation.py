"""One key takes over from another, without a request that fails (FAPI 2.0 section 5.4.2; decision 0016).

published → active → retiring → retired. A key is published for longer than anybody may remember an older key set;
only then does it sign. Its predecessor verifies for longer than anything that it signed may live.

One process takes each step: under the locks of the operators' logs and of the rows, read again under them. Logs are
not rotated: a log's key is its name to every verifier (C2SP signed-note).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, bindparam, func, select, update

from gateway.clock import MILLISECONDS, Clock
from gateway.database import Database, Query, Reading, Transaction
from gateway.errors import Conflicting
from gateway.ledger import Draft, Kind, Ledger
from gateway.ledger.change import Change
from gateway.vault.keyring import KeyRing
from gateway.vault.own_keys import FOLLOW_S, OwnKey
from gateway.vault.signing import SigningState
from gateway.vault.tables import signing_key


class RotatedKey(StrEnum):
    """The gateway's own keys that others take over from, by their use."""

    TOKEN = "token"  # noqa: S105 - the use of a key
    RECEIPT = "receipt"
    MESSAGE = "message"


class Accepted(Protocol):
    """What the keys of a use have signed, as far as the gateway itself accepts it; the app supplies it."""

    async def opens(self, reading: Reading, use: RotatedKey) -> Collection[str]:
        """The logs in which what such a key signed may lead to a permit."""

    async def refuse(self, tx: Transaction, use: RotatedKey, kid: str, now_ms: int) -> None:
        """From this transaction's commit on no process accepts what the key signed."""


_DAY_MS: Final = 86_400_000
_SCHEDULE: Final = {"gateway": "schedule"}
_OF_USE = select(signing_key).where(signing_key.c.use == bindparam("use")).order_by(signing_key.c.created_at)
_LOOK = Query(_OF_USE)
_LOCK = Query(_OF_USE.with_for_update())
_ACTIVATE = Query(
    update(signing_key)
    .where(signing_key.c.kid == bindparam("the_kid"), signing_key.c.state == SigningState.PUBLISHED.value)
    .values(state=SigningState.ACTIVE.value, active_at=bindparam("at"))
)
_SUPERSEDE = Query(
    update(signing_key)
    .where(signing_key.c.kid == bindparam("the_kid"), signing_key.c.state == SigningState.ACTIVE.value)
    .values(state=SigningState.RETIRING.value, retiring_at=bindparam("at"))
)
_RETIRE = Query(
    update(signing_key)
    .where(signing_key.c.kid == bindparam("the_kid"), signing_key.c.state == SigningState.RETIRING.value)
    .values(state=SigningState.RETIRED.value, retired_at=bindparam("at"), wrapped=b"")
)
_END = Query(
    update(signing_key)
    .where(signing_key.c.kid == bindparam("the_kid"), signing_key.c.state != SigningState.RETIRED.value)
    .values(
        state=SigningState.RETIRED.value,
        retiring_at=func.coalesce(signing_key.c.retiring_at, bindparam("at", type_=BigInteger)),
        retired_at=bindparam("at", type_=BigInteger),
        wrapped=b"",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How long each state lasts, from what others may still remember. All in seconds.

    `cache_s`: a key set may be cached. `life_s`: what a key signs is accepted for at most this long.
    """

    cache_s: int
    life_s: int

    @property
    def published_s(self) -> int:
        """Every process has read the key, and every cache that was filled without it has run out."""
        return FOLLOW_S + self.cache_s

    @property
    def retiring_s(self) -> int:
        """The last process has stopped signing with it, and what it signed last has expired, in caches too."""
        return FOLLOW_S + self.life_s + self.cache_s


class KeyRotation:
    """Takes the steps: the first by approval or every `every_days` (0: never by itself), the others when they are due.

    `logs` names the operators' logs that each step is entered in: all alliances share the gateway's keys. `accepted`
    ends what a compromised key has signed.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        windows: Windows,
        *,
        every_days: int,
        logs: Callable[[Reading], Awaitable[Sequence[str]]],
        accepted: Accepted,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._clock = clock
        self._windows = windows
        self._every_ms = every_days * _DAY_MS
        self._logs = logs
        self._accepted = accepted

    async def logs(self) -> Sequence[str]:
        """Every log that a step is entered in."""
        return await self._logs(self._database)

    async def require_rest(self, reading: Reading, use: RotatedKey) -> None:
        """`Conflicting` while a new key waits for its turn."""
        _require_rest([OwnKey.of(row) for row in await reading.all(_LOOK, use=use)])

    async def begin(self, change: Change, use: RotatedKey, actor: Mapping[str, str]) -> str:
        """Publish a new key, in a change of all `logs`; returns its kid. The servers take the further steps.

        `Conflicting` as for `require_rest`.
        """
        _require_rest(await _locked(change.tx, use))
        return await self._publish(change, use, await self._logs(change.tx), actor)

    async def replace(self, use: RotatedKey, *, operator: str) -> str:
        """For a key that somebody else may hold: another signs from now on, and all former ones are retired.

        Returns the new kid.

        No process accepts a token that they signed from the next request on, and no permit follows the entry. Within
        `FOLLOW_S` none signs with them; clients get new tokens. Nothing waits for anybody.
        """
        logs, actor = await self.logs(), {"operator": operator}
        async with self._ledger.changing(*logs, narrows=await self._accepted.opens(self._database, use)) as change:
            for key in await _locked(change.tx, use):
                if await change.tx.run(_END, the_kid=key.kid, at=change.now_ms):
                    await self._accepted.refuse(change.tx, use, key.kid, change.now_ms)
                    _enter(change, logs, "key_compromised", use, key.kid, actor)
            new = await self._keyring.create_signing_key(change.tx, use, change.now_ms)
            _enter(change, logs, "key_activated", use, new.kid, actor)
        return new.kid

    async def turn(self, use: RotatedKey) -> None:
        """Take every step that is due. Of several processes one does; the others find it done."""
        rows = await self._database.all(_LOOK, use=use)
        if self._is_due([OwnKey.of(row) for row in rows], self._clock()):
            await self._take_steps(use)

    def _is_due(self, keys: Sequence[OwnKey], now_ms: int) -> bool:
        return bool(self._over(keys, now_ms) or self._ready(keys, now_ms)) or self._is_too_old(keys, now_ms)

    async def _take_steps(self, use: str) -> None:
        logs = await self.logs()
        async with self._ledger.changing(*logs) as change:
            now_ms = change.now_ms
            keys = await _locked(change.tx, use)
            for key in self._over(keys, now_ms):
                await change.tx.run(_RETIRE, the_kid=key.kid, at=now_ms)
                _enter(change, logs, "key_retired", use, key.kid, _SCHEDULE)
            for key in self._ready(keys, now_ms):
                await self._activate(change, use, key, keys, logs)
            if self._is_too_old(keys, now_ms):
                await self._publish(change, use, logs, _SCHEDULE)

    def _over(self, keys: Sequence[OwnKey], now_ms: int) -> list[OwnKey]:
        """Retiring keys that nothing in use was signed with any more."""
        lasts = self._windows.retiring_s * MILLISECONDS
        retiring = _in_state(keys, SigningState.RETIRING)
        return [key for key in retiring if key.retiring_at is not None and now_ms - key.retiring_at >= lasts]

    def _ready(self, keys: Sequence[OwnKey], now_ms: int) -> list[OwnKey]:
        """The published key, once everybody knows it."""
        lasts = self._windows.published_s * MILLISECONDS
        return [key for key in _in_state(keys, SigningState.PUBLISHED) if now_ms - key.created_at >= lasts]

    def _is_too_old(self, keys: Sequence[OwnKey], now_ms: int) -> bool:
        """Whether the active key has served its time and no other is published."""
        if not self._every_ms or _in_state(keys, SigningState.PUBLISHED):
            return False
        active = _in_state(keys, SigningState.ACTIVE)
        return any(key.active_at is not None and now_ms - key.active_at >= self._every_ms for key in active)

    async def _activate(
        self, change: Change, use: str, key: OwnKey, keys: Sequence[OwnKey], logs: Sequence[str]
    ) -> None:
        """The key signs from now on. One that this process could not sign with stays published: `KeysUnavailable`."""
        row = next(row for row in await change.tx.all(_LOOK, use=use) if row["kid"] == key.kid)
        await self._keyring.unwrap_signing_key(row)
        for former in _in_state(keys, SigningState.ACTIVE):
            await change.tx.run(_SUPERSEDE, the_kid=former.kid, at=change.now_ms)
            _enter(change, logs, "key_retiring", use, former.kid, _SCHEDULE)
        await change.tx.run(_ACTIVATE, the_kid=key.kid, at=change.now_ms)
        _enter(change, logs, "key_activated", use, key.kid, _SCHEDULE)

    async def _publish(self, change: Change, use: str, logs: Sequence[str], actor: Mapping[str, str]) -> str:
        key = await self._keyring.create_signing_key(change.tx, use, change.now_ms, state=SigningState.PUBLISHED)
        _enter(change, logs, "key_published", use, key.kid, actor)
        return key.kid


async def _locked(tx: Transaction, use: str) -> list[OwnKey]:
    """The keys of a use, as they stand once nobody else changes them."""
    return [OwnKey.of(row) for row in await tx.all(_LOCK, use=use)]


def _require_rest(keys: Sequence[OwnKey]) -> None:
    if _in_state(keys, SigningState.PUBLISHED):
        raise Conflicting(
            "rotation_under_way",
            "A new key is published already.",
            field="use",
            remedy="It signs by itself once everybody knows it; then another may follow.",
        )


def _in_state(keys: Sequence[OwnKey], state: SigningState) -> list[OwnKey]:
    return [key for key in keys if key.state is state]


def _enter(change: Change, logs: Sequence[str], act: str, use: str, kid: str, actor: Mapping[str, Any]) -> None:
    for log in logs:
        change.enter(Draft(log=log, kind=Kind.KEY, facts={"act": act, "actor": dict(actor), "use": use, "kid": kid}))

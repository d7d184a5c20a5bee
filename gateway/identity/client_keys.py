"""The keys of clients: which are a client's, from when, until when. A key is one client's for ever.

As in `clients`, the functions run inside the caller's transaction and write no ledger entries. Gaining a key ends
nothing, so that keys overlap while a client changes over. Losing one that may have fetched a token which still lives
moves the client's version, and ends every token that it holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, select, update

from gateway.canonical import canonical
from gateway.clock import MILLISECONDS
from gateway.database import AlreadyExists, Query, Reading, Transaction
from gateway.errors import GatewayError, Invalid
from gateway.identity.claims import text
from gateway.identity.keys import KeyRefused, PublicKey, public_key
from gateway.identity.tables import client, client_key
from gateway.identity.tokens import LIFETIME_SECONDS

MOST_KEYS: Final = 16
"""How many keys a client has at a time."""

_KID: Final = range(1, 129)
_LATEST_SECOND: Final = 2**53 // MILLISECONDS
_LAST_TOKEN_MS: Final = (LIFETIME_SECONDS + 10) * MILLISECONDS

_INSERT = Query(insert(client_key))
_OWNER = Query(select(client_key.c.client_id).where(client_key.c.thumbprint == bindparam("thumbprint")))
_ACTIVE = Query(
    select(client_key)
    .where(client_key.c.client_id == bindparam("client"), client_key.c.state == "active")
    .order_by(client_key.c.created_at, client_key.c.thumbprint)
)
_SINCE = Query(
    select(func.count().label("count"))
    .select_from(client_key)
    .where(client_key.c.client_id == bindparam("client"), client_key.c.created_at > bindparam("since"))
)
_THIS = (
    client_key.c.client_id == bindparam("the_client"),
    client_key.c.thumbprint == bindparam("the_thumbprint"),
    client_key.c.state == "active",
)
_RETIRE = Query(update(client_key).where(*_THIS).values(state="retired"))
_CHANGE = Query(
    update(client_key)
    .where(*_THIS)
    .values(kid=bindparam("new_kid"), not_before=bindparam("from_ms"), expires_at=bindparam("until_ms"))
)
_BUMP = Query(update(client).where(client.c.id == bindparam("the_id")).values(version=client.c.version + 1))


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key with its `kid` and its life, in milliseconds: from `not_before` until just before `expires_at`."""

    key: PublicKey
    kid: str
    not_before: int = 0
    expires_at: int | None = None

    @classmethod
    def of(cls, jwk: object) -> ClientKey:
        """Read a public JWK. `nbf` and `exp`, in seconds, bound its life (OpenID Federation 1.0, section 8.7.2).

        Without a `kid` the thumbprint serves. `KeyRefused` for a private, weak or foreign key, `Invalid` for a bad
        `kid` or life.
        """
        if not isinstance(jwk, dict):
            raise KeyRefused("A key is a JSON object.")
        key = public_key(jwk)
        kid = text(jwk.get("kid", key.thumbprint), _KID)
        if kid is None:
            raise Invalid("invalid_kid", "A kid has 1 to 128 printable ASCII characters.", field="kid")
        begins, ends = _instant(jwk, "nbf"), _instant(jwk, "exp")
        if ends is not None and ends <= (begins or 0):
            raise _bad_life("exp")
        return cls(key, kid, begins or 0, ends)

    @classmethod
    def of_row(cls, row: Any) -> ClientKey:
        """Read a row of `client_key`."""
        return cls(public_key(json.loads(row["jwk"])), row["kid"], row["not_before"], row["expires_at"])

    def jwk(self) -> dict[str, Any]:
        """As a JWK, its life included."""
        life = {"nbf": self.not_before or None, "exp": self.expires_at}
        seconds = {name: value // MILLISECONDS for name, value in life.items() if value is not None}
        return {**self.key.jwk, "kid": self.kid, "use": "sig", "alg": self.key.algorithm, **seconds}

    def verifies(self, now_ms: int) -> bool:
        """Whether its life has begun and is not over."""
        return self.not_before <= now_ms and (self.expires_at is None or now_ms < self.expires_at)

    def may_have_tokens(self, now_ms: int) -> bool:
        """Whether a token that was fetched with this key could still live."""
        return self.not_before <= now_ms and (self.expires_at is None or now_ms < self.expires_at + _LAST_TOKEN_MS)


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What happened to a client's keys, by thumbprint. `ended`: so did every token of the client."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    ended: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone)

    def facts(self) -> dict[str, list[str]]:
        """For an entry: what is not empty."""
        named = {"added": self.added, "changed": self.changed, "gone": self.gone}
        return {name: sorted(keys) for name, keys in named.items() if keys}


def key_set(document: object) -> list[ClientKey]:
    """The keys of a JWK Set (RFC 7517 section 5) of 1 to 16 keys, each of which must do; a key twice is `Invalid`."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise Invalid("invalid_jwks", f"A JWK Set has 1 to {MOST_KEYS} keys.", field="jwks")
    read = [ClientKey.of(jwk) for jwk in keys]
    if len({one.key.thumbprint for one in read}) != len(read):
        raise Invalid("invalid_jwks", "A key stands twice in the set.", field="jwks")
    return read


async def add_key(tx: Transaction, *, client_id: str, jwk: Mapping[str, Any], now_ms: int) -> str:
    """Register a public JWK and return its thumbprint. The caller has seen the client to be active.

    `KeyRefused` for a private, weak or foreign key; `AlreadyExists` for one that is or was some client's.
    """
    key = ClientKey.of(dict(jwk))
    await _insert(tx, client_id, key, now_ms)
    return key.key.thumbprint


async def retire_key(tx: Transaction, *, client_id: str, thumbprint: str) -> bool:
    """End a key for ever, and with it every token of the client; False if it is no active key of the client."""
    retired = await tx.run(_RETIRE, the_client=client_id, the_thumbprint=thumbprint)
    if retired:
        await tx.run(_BUMP, the_id=client_id)
    return bool(retired)


def compare(active: Sequence[ClientKey], wanted: Sequence[ClientKey], now_ms: int) -> KeyChanges:
    """What it takes to make `wanted` the client's keys, where `active` are."""
    before = {one.key.thumbprint: one for one in active}
    after = {one.key.thumbprint: one for one in wanted}
    gone = [name for name in before if name not in after]
    changed = [name for name, one in after.items() if name in before and before[name] != one]
    cut_off = [name for name in changed if before[name].verifies(now_ms) and not after[name].verifies(now_ms)]
    return KeyChanges(
        added=tuple(name for name in after if name not in before),
        changed=tuple(changed),
        gone=tuple(gone),
        ended=bool(cut_off) or any(before[name].may_have_tokens(now_ms) for name in gone),
    )


async def replace_keys(tx: Transaction, *, client_id: str, keys: Sequence[ClientKey], now_ms: int) -> KeyChanges:
    """Make these the client's keys; those that are missing are retired for ever.

    The tokens of the client end with a retired key, unless it had run out (or had not begun) so that none of its
    tokens lives, and with one whose life is changed so that it is over (or has not begun). `AlreadyExists` for a key
    that is another's, or was retired.
    """
    changes = compare(await active_keys(tx, client_id), keys, now_ms)
    wanted = {one.key.thumbprint: one for one in keys}
    for name in changes.gone:
        await tx.run(_RETIRE, the_client=client_id, the_thumbprint=name)
    for name in changes.added:
        await _insert(tx, client_id, wanted[name], now_ms)
    await _change(tx, client_id, [wanted[name] for name in changes.changed])
    if changes.ended:
        await tx.run(_BUMP, the_id=client_id)
    return changes


async def publish_keys(
    tx: Transaction, *, client_id: str, keys: Sequence[ClientKey], now_ms: int, room: int
) -> KeyChanges:
    """Make the client's keys those that it publishes now. One that is missing runs out at once, and may come back.

    A key that is or was another client's, or was retired, is left out, and so are new ones beyond `room`. No token
    ends: each lives its 300 seconds.
    """
    active = await active_keys(tx, client_id)
    known = {one.key.thumbprint for one in active}
    new = [one for one in keys if one.key.thumbprint not in known and not await is_client_key(tx, one.key.thumbprint)]
    usable = [*(one for one in keys if one.key.thumbprint in known), *new[: max(room, 0)]]
    published = {one.key.thumbprint for one in usable}
    missing = [
        replace(one, expires_at=now_ms)
        for one in active
        if one.key.thumbprint not in published and (one.expires_at is None or one.expires_at > now_ms)
    ]
    changes = compare(active, usable, now_ms)
    for one in usable:
        if one.key.thumbprint in changes.added:
            await _insert(tx, client_id, one, now_ms)
    await _change(tx, client_id, [*(one for one in usable if one.key.thumbprint in changes.changed), *missing])
    gone = tuple(one.key.thumbprint for one in missing)
    return KeyChanges(added=changes.added, changed=changes.changed, gone=gone)


async def active_keys(reading: Reading, client_id: str) -> list[ClientKey]:
    """The keys that are not retired, oldest first, also those that have not begun or have run out."""
    return [ClientKey.of_row(row) for row in await reading.all(_ACTIVE, client=client_id)]


async def keys_since(reading: Reading, client_id: str, since_ms: int) -> int:
    """How many keys the client has gained since then."""
    row = await reading.one(_SINCE, client=client_id, since=since_ms)
    return 0 if row is None else int(row["count"])


async def is_client_key(reading: Reading, thumbprint: str) -> bool:
    """Whether the key is, or once was, a client's: such a key may sign nothing else."""
    return await reading.one(_OWNER, thumbprint=thumbprint) is not None


async def _insert(tx: Transaction, client_id: str, one: ClientKey, now_ms: int) -> None:
    if await is_client_key(tx, one.key.thumbprint):
        raise AlreadyExists("The key is registered already.")
    await tx.run(
        _INSERT,
        thumbprint=one.key.thumbprint,
        client_id=client_id,
        kid=one.kid,
        alg=one.key.algorithm,
        jwk=canonical(dict(one.key.jwk)).decode(),
        state="active",
        created_at=now_ms,
        not_before=one.not_before,
        expires_at=one.expires_at,
    )


async def _change(tx: Transaction, client_id: str, keys: Sequence[ClientKey]) -> None:
    for one in keys:
        life = {"from_ms": one.not_before, "until_ms": one.expires_at}
        await tx.run(_CHANGE, the_client=client_id, the_thumbprint=one.key.thumbprint, new_kid=one.kid, **life)


def _instant(jwk: Mapping[str, Any], name: str) -> int | None:
    value = jwk.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LATEST_SECOND:
        raise _bad_life(name)
    return value * MILLISECONDS


def _bad_life(name: str) -> GatewayError:
    return Invalid("invalid_key_life", "nbf and exp are whole seconds since the epoch, and exp is later.", field=name)

"""Clients of members. Whatever takes something from a client moves its version, which ends every token it holds.

The functions run inside the caller's transaction and write no ledger entries; the caller wraps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, func, insert, null, or_, select, update

from gateway.database import Query, Reading, Transaction
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity import client_keys
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.methods import PRIVATE_KEY_JWT, Method, set_method
from gateway.identity.tables import client, client_key, resource_server

_NAME: Final = 200

_INSERT_CLIENT = Query(insert(client))
_SERVE = Query(insert(resource_server))
_SERVES = Query(select(resource_server.c.resource).where(resource_server.c.client_id == bindparam("client")))
_CLIENT = Query(select(client.c.state, client.c.version).where(client.c.id == bindparam("id")))
_REVOKE = Query(
    update(client).where(client.c.id == bindparam("the_id")).values(state="revoked", version=client.c.version + 1)
)
_POINT = Query(
    update(client)
    .where(client.c.id == bindparam("the_id"))
    .values(jwks_uri=bindparam("uri"), keys_fetched_at=bindparam("as_of"), keys_sought_at=null())
)
_FETCHED = Query(update(client).where(client.c.id == bindparam("the_id")).values(keys_fetched_at=bindparam("as_of")))
_SEEK = Query(
    update(client)
    .where(
        client.c.id == bindparam("the_id"),
        client.c.state == "active",
        client.c.jwks_uri.is_not(None),
        func.coalesce(client.c.keys_sought_at, 0) <= bindparam("before", type_=BigInteger),
    )
    .values(keys_sought_at=bindparam("at", type_=BigInteger))
)
_NOW = bindparam("now", type_=BigInteger)
_WITH_KEYS = Query(
    select(
        *(client.c.id, client.c.member_id, client.c.state, client.c.version),
        *(client.c.method, client.c.binding, client.c.certificate_name, client.c.certificates, client.c.assertion_typ),
        *(client.c.jwks_uri, client.c.keys_fetched_at, client_key.c.kid, client_key.c.jwk),
    )
    .select_from(
        client.outerjoin(
            client_key,
            and_(
                client_key.c.client_id == client.c.id,
                client_key.c.state == "active",
                client_key.c.not_before <= _NOW,
                or_(client_key.c.expires_at.is_(None), client_key.c.expires_at > _NOW),
            ),
        )
    )
    .where(client.c.id == bindparam("id"))
    .order_by(client_key.c.created_at, client_key.c.thumbprint)
)


class KnownClient(NamedTuple):
    """A registered client as one snapshot shows it; `keys` are those that verify now, with their `kid`.

    With a `jwks_uri`, they are what was published there as of `keys_fetched_at`, in milliseconds.
    """

    id: str
    member: str
    state: str
    version: int
    keys: tuple[tuple[str, PublicKey], ...] = ()
    method: Method = PRIVATE_KEY_JWT
    jwks_uri: str | None = None
    keys_fetched_at: int | None = None


async def register_client(
    tx: Transaction,
    *,
    member_id: str,
    name: str,
    now_ms: int,
    client_id: str | None = None,
    jwks_uri: str | None = None,
    method: Method = PRIVATE_KEY_JWT,
) -> str:
    """Create an active client of a member and return its id. With private_key_jwt it first needs a key, too."""
    if not name.strip() or len(name) > _NAME:
        raise Invalid("invalid_name", f"A client's name has 1 to {_NAME} characters.", field="name")
    client_id = client_id or random_id()
    await tx.run(
        _INSERT_CLIENT,
        id=client_id,
        member_id=member_id,
        name=name,
        state="active",
        version=1,
        created_at=now_ms,
        jwks_uri=jwks_uri,
        keys_fetched_at=None,
        keys_sought_at=None,
        **PRIVATE_KEY_JWT.columns(),
    )
    if method != PRIVATE_KEY_JWT:
        await set_method(tx, client_id, method)
    return client_id


async def add_key(tx: Transaction, *, client_id: str, jwk: Mapping[str, Any], now_ms: int) -> str:
    """As `client_keys.add_key`; `NotFound` for an unknown client, `Conflicting` for a revoked one."""
    await require_active(tx, client_id)
    return await client_keys.add_key(tx, client_id=client_id, jwk=jwk, now_ms=now_ms)


async def change_method(tx: Transaction, *, client_id: str, method: Method) -> None:
    """Change how an active client authenticates. Tokens that it holds are refused from the next request on."""
    await require_active(tx, client_id)
    await set_method(tx, client_id, method)


async def retire_key(tx: Transaction, *, client_id: str, thumbprint: str) -> None:
    """End a key for ever. Tokens that the client holds are refused from the next request on."""
    await require_active(tx, client_id)
    if not await client_keys.retire_key(tx, client_id=client_id, thumbprint=thumbprint):
        raise NotFound


async def publish_at(tx: Transaction, *, client_id: str, jwks_uri: str | None, as_of_ms: int | None) -> None:
    """From now on the client's keys are those at this address, or with None those that it registers.

    The keys that it has count as found there at `as_of_ms`, and nobody has looked yet.
    """
    await tx.run(_POINT, the_id=client_id, uri=jwks_uri, as_of=as_of_ms)


async def seek_keys(tx: Transaction, *, client_id: str, now_ms: int, pause_ms: int) -> bool:
    """Take the turn to look at the client's address; False if anybody took one within the pause."""
    return bool(await tx.run(_SEEK, the_id=client_id, at=now_ms, before=now_ms - pause_ms))


async def keys_found(tx: Transaction, *, client_id: str, now_ms: int) -> None:
    """The client's keys are known to be current as of now."""
    await tx.run(_FETCHED, the_id=client_id, as_of=now_ms)


async def revoke_client(tx: Transaction, *, client_id: str) -> None:
    """End a client for ever; its tokens are refused from the next request on. `Conflicting` the second time."""
    await require_active(tx, client_id)
    await tx.run(_REVOKE, the_id=client_id)


async def name_resource_server(tx: Transaction, *, client_id: str, resource: str, now_ms: int) -> None:
    """Let the client ask about tokens for a resource (RFC 7662). `AlreadyExists` where it serves one already."""
    await require_active(tx, client_id)
    await tx.run(_SERVE, client_id=client_id, resource=resource, created_at=now_ms)


async def is_resource_server(reading: Reading, client_id: str) -> bool:
    """Whether the client serves a resource already."""
    return await reading.one(_SERVES, client=client_id) is not None


async def find_client(reading: Reading, client_id: str, now_ms: int) -> KnownClient | None:
    """The client with the keys that verify now, in one statement."""
    rows = await reading.all(_WITH_KEYS, id=client_id, now=now_ms)
    if not rows:
        return None
    keys = tuple((row["kid"], _stored_key(row["jwk"])) for row in rows if row["kid"] is not None)
    first = rows[0]
    return KnownClient(
        first["id"],
        first["member_id"],
        first["state"],
        first["version"],
        keys,
        Method.of(first),
        first["jwks_uri"],
        first["keys_fetched_at"],
    )


@lru_cache(maxsize=4096)
def _stored_key(jwk: str) -> PublicKey:
    return public_key(json.loads(jwk))


async def stands_as(reading: Reading, client_id: str, version: object) -> bool:
    """Whether the client is active and of this version: nothing was taken from it since it had it."""
    row = await reading.one(_CLIENT, id=client_id)
    return row is not None and row["state"] == "active" and row["version"] == version


async def require_active(reading: Reading, client_id: str) -> None:
    """`NotFound` for an unknown client, `Conflicting` for a revoked one."""
    row = await reading.one(_CLIENT, id=client_id)
    if row is None:
        raise NotFound
    if row["state"] != "active":
        raise Conflicting("client_revoked", "The client is revoked.", field="client")

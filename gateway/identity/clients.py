"""Clients of members and their keys. Each change bumps the client's version, which ends every token it holds.

The functions run inside the caller's transaction and write no ledger entries; the caller wraps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import and_, bindparam, insert, select, update

from gateway.canonical import canonical
from gateway.database import AlreadyExists, Query, Reading, Transaction
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.claims import text
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.methods import PRIVATE_KEY_JWT, Method, set_method
from gateway.identity.tables import client, client_key, resource_server

_NAME: Final = 200
_KID: Final = range(1, 129)

_INSERT_CLIENT = Query(insert(client))
_INSERT_KEY = Query(insert(client_key))
_SERVE = Query(insert(resource_server))
_CLIENT = Query(select(client.c.state, client.c.version).where(client.c.id == bindparam("id")))
_BUMP = Query(update(client).where(client.c.id == bindparam("the_id")).values(version=client.c.version + 1))
_REVOKE = Query(update(client).where(client.c.id == bindparam("the_id")).values(state="revoked"))
_RETIRE = Query(
    update(client_key)
    .where(
        client_key.c.client_id == bindparam("the_client"),
        client_key.c.thumbprint == bindparam("the_thumbprint"),
        client_key.c.state == "active",
    )
    .values(state="retired")
)
_KEY = Query(select(client_key.c.client_id).where(client_key.c.thumbprint == bindparam("thumbprint")))
_WITH_KEYS = Query(
    select(
        *(client.c.id, client.c.member_id, client.c.state, client.c.version),
        *(client.c.method, client.c.binding, client.c.certificate_name, client.c.certificates, client.c.assertion_typ),
        *(client_key.c.kid, client_key.c.jwk),
    )
    .select_from(
        client.outerjoin(client_key, and_(client_key.c.client_id == client.c.id, client_key.c.state == "active"))
    )
    .where(client.c.id == bindparam("id"))
    .order_by(client_key.c.created_at, client_key.c.thumbprint)
)


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A registered client as one snapshot shows it; `keys` are its active ones with their `kid`."""

    id: str
    member: str
    state: str
    version: int
    keys: tuple[tuple[str, PublicKey], ...] = ()
    method: Method = PRIVATE_KEY_JWT


async def register_client(
    tx: Transaction, *, member_id: str, name: str, now_ms: int, method: Method = PRIVATE_KEY_JWT
) -> str:
    """Create an active client of a member and return its id. With private_key_jwt it first needs a key, too."""
    if not name.strip() or len(name) > _NAME:
        raise Invalid("invalid_name", f"A client's name has 1 to {_NAME} characters.", field="name")
    client_id = random_id()
    await tx.run(
        _INSERT_CLIENT,
        id=client_id,
        member_id=member_id,
        name=name,
        state="active",
        version=1,
        created_at=now_ms,
        **PRIVATE_KEY_JWT.columns(),
    )
    if method != PRIVATE_KEY_JWT:
        await set_method(tx, client_id, method)
    return client_id


async def add_key(tx: Transaction, *, client_id: str, jwk: Mapping[str, Any], now_ms: int) -> str:
    """Register a public JWK and return its thumbprint. Its `kid`, if any, is kept; else the thumbprint serves.

    `KeyRefused` for a private, weak or foreign key; `Conflicting` for one that is or was some client's;
    `NotFound` for an unknown client, `Conflicting` for a revoked one.
    """
    await _active(tx, client_id)
    key = public_key(jwk)
    kid = text(jwk.get("kid", key.thumbprint), _KID)
    if kid is None:
        raise Invalid("invalid_kid", "A kid has 1 to 128 printable ASCII characters.", field="kid")
    if await is_client_key(tx, key.thumbprint):
        raise AlreadyExists("The key is registered already.")
    await tx.run(
        _INSERT_KEY,
        thumbprint=key.thumbprint,
        client_id=client_id,
        kid=kid,
        alg=key.algorithm,
        jwk=canonical(dict(key.jwk)).decode(),
        state="active",
        created_at=now_ms,
    )
    await tx.run(_BUMP, the_id=client_id)
    return key.thumbprint


async def change_method(tx: Transaction, *, client_id: str, method: Method) -> None:
    """Change how an active client authenticates. Tokens that it holds are refused from the next request on."""
    await _active(tx, client_id)
    await set_method(tx, client_id, method)


async def retire_key(tx: Transaction, *, client_id: str, thumbprint: str) -> None:
    """End a key for ever. Tokens that the client holds are refused from the next request on."""
    await _active(tx, client_id)
    if not await tx.run(_RETIRE, the_client=client_id, the_thumbprint=thumbprint):
        raise NotFound()
    await tx.run(_BUMP, the_id=client_id)


async def revoke_client(tx: Transaction, *, client_id: str) -> None:
    """End a client for ever; its tokens are refused from the next request on. `Conflicting` the second time."""
    await _active(tx, client_id)
    await tx.run(_REVOKE, the_id=client_id)
    await tx.run(_BUMP, the_id=client_id)


async def name_resource_server(tx: Transaction, *, client_id: str, resource: str, now_ms: int) -> None:
    """Let the client ask about tokens for a resource (RFC 7662). `AlreadyExists` where it serves one already."""
    await _active(tx, client_id)
    await tx.run(_SERVE, client_id=client_id, resource=resource, created_at=now_ms)


async def is_client_key(reading: Reading, thumbprint: str) -> bool:
    """Whether the key is, or once was, a client's: such a key may sign nothing else."""
    return await reading.one(_KEY, thumbprint=thumbprint) is not None


async def find_client(reading: Reading, client_id: str) -> KnownClient | None:
    """The client with its active keys, in one statement."""
    rows = await reading.all(_WITH_KEYS, id=client_id)
    if not rows:
        return None
    keys = tuple((row["kid"], _stored_key(row["jwk"])) for row in rows if row["kid"] is not None)
    first = rows[0]
    return KnownClient(first["id"], first["member_id"], first["state"], first["version"], keys, Method.of(first))


@lru_cache(maxsize=4096)
def _stored_key(jwk: str) -> PublicKey:
    return public_key(json.loads(jwk))


async def _active(tx: Transaction, client_id: str) -> None:
    row = await tx.one(_CLIENT, id=client_id)
    if row is None:
        raise NotFound()
    if row["state"] != "active":
        raise Conflicting("client_revoked", "The client is revoked.", field="client")

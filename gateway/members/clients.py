"""The clients of members: registered, given keys, revoked. Every act is an entry; what ends access narrows.

The functions of `identity.clients` change the rows; here their acts go on record with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import (
    PRIVATE_KEY_JWT,
    Method,
    MethodName,
    add_key,
    change_method,
    name_resource_server,
    register_client,
    retire_key,
    revoke_client,
)
from gateway.identity.keys import public_key
from gateway.identity.tables import client
from gateway.ledger import Draft, Kind, Ledger
from gateway.members.tables import member, member_signing_key

_CLIENT = Query(
    select(client.c.member_id, member.c.alliance_id)
    .join(member, member.c.id == client.c.member_id)
    .where(client.c.id == bindparam("id"))
)
_MEMBER = Query(select(member.c.alliance_id).where(member.c.id == bindparam("id")))
_MEMBERS = Query(select(member.c.id).where(member.c.alliance_id == bindparam("alliance")).order_by(member.c.id))
_SIGNING_KEY = Query(
    select(member_signing_key.c.member_id).where(member_signing_key.c.fingerprint == bindparam("fingerprint"))
)


class Clients:
    """Registers and ends members' clients. `operator` names the person who acts, as the entry will."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def register(
        self,
        member_id: str,
        *,
        name: str,
        jwk: Mapping[str, Any] | None,
        operator: str,
        method: Method = PRIVATE_KEY_JWT,
    ) -> str:
        """A new client with its first public key, or one that authenticates by certificate; returns its id."""
        if (jwk is None) == (method.name is MethodName.PRIVATE_KEY_JWT):
            raise Invalid(
                "key_or_certificate",
                "A client is registered with a public key, or with what names its certificate.",
                field="jwk",
                remedy="Give a JWK for private_key_jwt, and none for the methods of RFC 8705.",
            )
        row = await self._database.one(_MEMBER, id=member_id)
        if row is None:
            raise NotFound
        if jwk is not None:
            await _refuse_signing_key(self._database, jwk)
        async with self._ledger.changing(row["alliance_id"]) as change:
            client_id = await register_client(
                change.tx, member_id=member_id, name=name, now_ms=change.now_ms, method=method
            )
            facts = {"member": member_id, "client": client_id, "name": name, **method.facts()}
            if jwk is not None:
                facts["key"] = await add_key(change.tx, client_id=client_id, jwk=jwk, now_ms=change.now_ms)
            change.enter(_act(row["alliance_id"], "client_registered", operator, facts))
        return client_id

    async def add_key(self, client_id: str, jwk: Mapping[str, Any], *, operator: str) -> str:
        """Another key for a client; returns its thumbprint. Tokens that the client holds end with it."""
        member_id, alliance = await self._of(client_id)
        await _refuse_signing_key(self._database, jwk)
        async with self._ledger.changing(alliance) as change:
            key = await add_key(change.tx, client_id=client_id, jwk=jwk, now_ms=change.now_ms)
            change.enter(_act(alliance, "client_key_added", operator, _facts(member_id, client_id, key)))
        return key

    async def change_method(self, client_id: str, method: Method, *, operator: str) -> None:
        """Another way to authenticate: no token that the client holds opens anything after this entry."""
        member_id, alliance = await self._of(client_id)
        owners = await self._owners(alliance)
        facts = {"member": member_id, "client": client_id, **method.facts()}
        async with self._ledger.changing(alliance, narrows=owners) as change:
            await change_method(change.tx, client_id=client_id, method=method)
            for log in (alliance, *owners):
                change.enter(_act(log, "client_method_changed", operator, facts))

    async def retire_key(self, client_id: str, thumbprint: str, *, operator: str) -> None:
        """End a key: no token that the client holds opens anything after this entry."""
        member_id, alliance = await self._of(client_id)
        owners = await self._owners(alliance)
        async with self._ledger.changing(alliance, narrows=owners) as change:
            await retire_key(change.tx, client_id=client_id, thumbprint=thumbprint)
            for log in (alliance, *owners):
                change.enter(_act(log, "client_key_retired", operator, _facts(member_id, client_id, thumbprint)))

    async def revoke(self, client_id: str, *, operator: str) -> None:
        """End a client: nothing is opened for it after this entry, which stands in every owner's log too."""
        member_id, alliance = await self._of(client_id)
        owners = await self._owners(alliance)
        async with self._ledger.changing(alliance, narrows=owners) as change:
            await revoke_client(change.tx, client_id=client_id)
            for log in (alliance, *owners):
                change.enter(_act(log, "client_revoked", operator, {"member": member_id, "client": client_id}))

    async def serve(self, client_id: str, *, resource: str, operator: str) -> None:
        """Name a client as a server of a resource: it may ask whether its alliance's tokens for it are active.

        `Conflicting` where it is one already, or is revoked. Revoking the client ends it.
        """
        member_id, alliance = await self._of(client_id)
        async with self._ledger.changing(alliance) as change:
            await name_resource_server(change.tx, client_id=client_id, resource=resource, now_ms=change.now_ms)
            facts = {"member": member_id, "client": client_id, "resource": resource}
            change.enter(_act(alliance, "resource_server_named", operator, facts))

    async def _of(self, client_id: str) -> tuple[str, str]:
        row = await self._database.one(_CLIENT, id=client_id)
        if row is None:
            raise NotFound
        return row["member_id"], row["alliance_id"]

    async def _owners(self, alliance: str) -> Sequence[str]:
        return [row["id"] for row in await self._database.all(_MEMBERS, alliance=alliance)]


async def _refuse_signing_key(reading: Reading, jwk: Mapping[str, Any]) -> None:
    """What binds a company by signature must not lie on the server that fetches data."""
    if await reading.one(_SIGNING_KEY, fingerprint=public_key(jwk).thumbprint) is not None:
        raise Conflicting(
            "client_key_is_signing_key",
            "This key signs agreements.",
            field="jwk",
            remedy="Make a key for the client alone.",
        )


def _facts(member_id: str, client_id: str, key: str) -> dict[str, str]:
    return {"member": member_id, "client": client_id, "key": key}


def _act(log: str, act: str, operator: str, facts: Mapping[str, Any]) -> Draft:
    return Draft(log=log, kind=Kind.ADMIN, facts={"act": act, "actor": {"operator": operator}, **facts})

"""What two operators do to clients: register one, give it keys, let it ask about tokens. See `approvals` for the two.

Each act checks its arguments twice: when it is proposed, and when it is approved, days later perhaps.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.approvals import Act, Arguments, Mandate, proposing_client
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity import clients
from gateway.identity.client_keys import ClientKey, is_client_key
from gateway.identity.methods import PRIVATE_KEY_JWT, Method, MethodName, refuse_taken
from gateway.ledger import Change
from gateway.members.arguments import method_of, only, said
from gateway.members.client_record import ClientRecord, client_record, owners_of
from gateway.members.clients import enter, give_keys
from gateway.members.key_source import KeySource
from gateway.members.members import checked_name, refuse_prospect
from gateway.members.tables import alliance, member

PROPOSER_VERSION: Final = "proposer_version"
"""The argument that says which version the client had that proposes a registration; operators propose without."""

_ID = re.compile("[0-9a-f]{32}")
_ENVIRONMENT = Query(
    select(alliance.c.environment, member.c.state)
    .join(member, member.c.alliance_id == alliance.c.id)
    .where(alliance.c.id == bindparam("alliance"), member.c.id == bindparam("member"))
)


def registration(
    member_id: str, environment: str, name: str, source: KeySource | None, method: Method = PRIVATE_KEY_JWT
) -> dict[str, Any]:
    """The arguments of `register_client`: a source of keys, or a method of RFC 8705 that needs none.

    The client's id is drawn now, so that whoever proposes knows it.
    """
    named = {"client": random_id(), "member": member_id, "environment": environment, "name": name}
    return {**named, "method": method.facts(), **(source.terms() if source else {})}


class ClientActs:
    """The acts, for `Approvals`. `loopback` lets key addresses name this machine; `resource` is this gateway's API."""

    def __init__(self, database: Database, *, resource: str, loopback: bool) -> None:
        self._database = database
        self._resource = resource
        self._loopback = loopback

    def acts(self) -> list[Act]:
        """Registering a client, its keys, its method, and naming it a server of the resource."""
        return [
            Act("register_client", self._check_registration, self._register),
            Act("add_client_key", self._check_key, self._add_key),
            Act("change_client_keys", self._check_keys, self._change_keys, self._owners),
            Act("change_client_method", self._check_method, self._change_method, self._owners),
            Act("name_resource_server", self._check_server, self._name_server),
        ]

    async def _check_registration(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "client", "member", "environment", "name", "method", "jwks", "jwks_uri", PROPOSER_VERSION)
        source = self._source(arguments)
        await source.refuse_signing_keys(reading)
        for one in source.keys:
            await _refuse_known(reading, one)
        if not _ID.fullmatch(said(arguments, "client")):
            raise Invalid("invalid_client_id", "A client's id is 32 hexadecimal digits.", field="client")
        await refuse_taken(reading, arguments["client"], method_of(arguments))
        checked_name(said(arguments, "name"), "name")
        row = await reading.one(_ENVIRONMENT, alliance=of, member=said(arguments, "member"))
        if row is None:
            raise NotFound
        refuse_prospect(row["state"])
        if row["environment"] != said(arguments, "environment"):
            raise Invalid(
                "environment_differs",
                f"The alliance is one for {row['environment']}.",
                field="environment",
                remedy="A client for tests belongs to an alliance for tests.",
            )

    async def _register(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """A new client of a member with its keys; returns its id. What a client proposed ends with its tokens."""
        await _require_proposer(change.tx, mandate, arguments)
        await self._check_registration(change.tx, mandate.alliance, arguments)
        source, method = self._source(arguments), method_of(arguments)
        client_id = await clients.register_client(
            change.tx,
            client_id=arguments["client"],
            member_id=arguments["member"],
            name=arguments["name"],
            jwks_uri=source.jwks_uri,
            method=method,
            now_ms=change.now_ms,
        )
        for one in source.keys:
            await clients.add_key(change.tx, client_id=client_id, jwk=one.jwk(), now_ms=change.now_ms)
        named = {name: arguments[name] for name in ("member", "client", "name", "environment")}
        facts = {**named, **method.facts(), **source.facts()}
        enter(change, (mandate.alliance,), "client_registered", mandate.actor(), facts)
        return client_id

    async def _check_key(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "client", "jwk")
        record = await self._of(reading, of, arguments)
        if record.jwks_uri is not None:
            raise Conflicting("keys_published", "This client publishes its keys by address.", field="client")
        key = ClientKey.of(arguments.get("jwk"))
        await KeySource((key,)).refuse_signing_keys(reading)
        await _refuse_known(reading, key)

    async def _add_key(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Another key for a client; returns its thumbprint. Tokens that the client holds live on."""
        await self._check_key(change.tx, mandate.alliance, arguments)
        record = await client_record(change.tx, arguments["client"])
        key = await clients.add_key(change.tx, client_id=record.id, jwk=arguments["jwk"], now_ms=change.now_ms)
        enter(change, (mandate.alliance,), "client_key_added", mandate.actor(), {**record.facts(), "key": key})
        return key

    async def _check_keys(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "client", "jwks", "jwks_uri")
        await self._of(reading, of, arguments)
        await KeySource.of(arguments, loopback=self._loopback).refuse_signing_keys(reading)

    async def _change_keys(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Other keys for a client, in place of all that it has."""
        await self._check_keys(change.tx, mandate.alliance, arguments)
        source = KeySource.of(arguments, loopback=self._loopback)
        owners = await owners_of(change.tx, mandate.alliance)
        await give_keys(change, arguments["client"], source, mandate.actor(), owners)
        return ""

    async def _check_method(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "client", "method")
        record = await self._of(reading, of, arguments)
        await refuse_taken(reading, record.id, method_of(arguments))

    async def _change_method(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Another way to authenticate: no token that the client holds opens anything after this entry."""
        await self._check_method(change.tx, mandate.alliance, arguments)
        record, method = await client_record(change.tx, arguments["client"]), method_of(arguments)
        await clients.change_method(change.tx, client_id=record.id, method=method)
        logs = (mandate.alliance, *await owners_of(change.tx, mandate.alliance))
        enter(change, logs, "client_method_changed", mandate.actor(), {**record.facts(), **method.facts()})
        return ""

    async def _check_server(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "client", "resource")
        if said(arguments, "resource") != self._resource:
            raise Invalid("resource_unknown", f"The resource is {self._resource}.", field="resource")
        record = await self._of(reading, of, arguments)
        if await clients.is_resource_server(reading, record.id):
            raise Conflicting("already_exists", "The client is a server of the resource already.", field="client")

    async def _name_server(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """The client may ask whether its alliance's tokens are active (RFC 7662). Revoking the client ends it."""
        await self._check_server(change.tx, mandate.alliance, arguments)
        record, resource = await client_record(change.tx, arguments["client"]), arguments["resource"]
        await clients.name_resource_server(change.tx, client_id=record.id, resource=resource, now_ms=change.now_ms)
        facts = {**record.facts(), "resource": resource}
        enter(change, (mandate.alliance,), "resource_server_named", mandate.actor(), facts)
        return ""

    def _source(self, arguments: Arguments) -> KeySource:
        """Where the keys of a new client come from; one that authenticates by certificate has none."""
        if method_of(arguments).name is MethodName.PRIVATE_KEY_JWT:
            return KeySource.of(arguments, loopback=self._loopback)
        if "jwks" in arguments or "jwks_uri" in arguments:
            raise Invalid(
                "key_or_certificate",
                "A client is registered with public keys, or with what names its certificate.",
                field="jwks",
                remedy="Give keys for private_key_jwt, and none for the methods of RFC 8705.",
            )
        return KeySource()

    async def _of(self, reading: Reading, of: str, arguments: Arguments) -> ClientRecord:
        """The active client that is meant, if it is of this alliance."""
        record = await client_record(reading, said(arguments, "client"))
        if record.alliance != of:
            raise NotFound
        await clients.require_active(reading, record.id)
        return record

    async def _owners(self, of: str, _: Arguments) -> Collection[str]:
        return await owners_of(self._database, of)


async def _require_proposer(reading: Reading, mandate: Mandate, arguments: Arguments) -> None:
    """`Conflicting` where the client that proposed is revoked, or a key or its method was taken from it since.

    Whoever had what was taken may have spoken for it.
    """
    proposer = proposing_client(mandate.proposer)
    if proposer and not await clients.stands_as(reading, proposer, arguments.get(PROPOSER_VERSION)):
        raise Conflicting(
            "proposer_changed",
            "The client that proposed it is revoked, or lost a key since.",
            field="proposal",
            remedy="Decline it; an operator may propose the client anew.",
        )


async def _refuse_known(reading: Reading, one: ClientKey) -> None:
    if await is_client_key(reading, one.key.thumbprint):
        raise Conflicting("already_exists", "The key is registered already.", field="jwk")

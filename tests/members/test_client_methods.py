"""How a client authenticates is on record, and a change of it takes away what the client held."""

from __future__ import annotations

import pytest

from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import Binding, Method, MethodName
from gateway.identity.certificates import CertificateName
from gateway.identity.clients import find_client
from gateway.members.clients import Clients
from tests.agreements.world import World, new_key, public

BY_NAME = Method(
    name=MethodName.TLS_CLIENT_AUTH,
    binding=Binding.CERTIFICATE,
    certificate_name=CertificateName.of("san_dns", "core.bank.example"),
)


async def test_a_client_is_entered_with_its_method(world: World) -> None:
    clients = Clients(world.database, world.ledger)
    client = await clients.register(world.bank.id, name="core", jwk=None, operator="root", method=BY_NAME)
    (entry,) = [one for one in await world.entries() if one.get("act") == "client_registered"]
    assert (entry["client"], entry["actor"]) == (client, {"operator": "root"})
    assert (entry["method"], entry["binding"]) == ("tls_client_auth", "certificate")
    assert entry["certificate_name"] == "san_dns:core.bank.example"
    assert "key" not in entry


async def test_a_changed_method_narrows_every_owner_and_is_entered_in_every_log(world: World) -> None:
    clients = Clients(world.database, world.ledger)
    client = await clients.register(world.bank.id, name="core", jwk=public(new_key()), operator="root")
    before = await find_client(world.database, client)
    await clients.change_method(client, BY_NAME, operator="root")
    after = await find_client(world.database, client)
    assert before is not None
    assert after is not None
    assert (after.version, after.method) == (before.version + 1, BY_NAME)
    for company in (world.airline, world.bank, world.hotel):
        assert await world.narrowing(company) == 1
    assert await world.narrowing(world.stranger) == 0
    logs = [one["log"] for one in await world.entries() if one.get("act") == "client_method_changed"]
    members = (world.alliance, world.airline.id, world.bank.id, world.hotel.id)
    assert sorted(logs) == sorted(f"alliance.test/{one}" for one in members)


async def test_a_key_and_a_certificate_are_one_too_many_and_neither_is_too_few(sqlite_world: World) -> None:
    world = sqlite_world
    clients = Clients(world.database, world.ledger)
    for jwk, method in ((public(new_key()), BY_NAME), (None, Method())):
        with pytest.raises(Invalid) as refused:
            await clients.register(world.bank.id, name="core", jwk=jwk, operator="root", method=method)
        assert refused.value.code == "key_or_certificate"


async def test_only_a_client_that_stands_is_changed(sqlite_world: World) -> None:
    world = sqlite_world
    clients = Clients(world.database, world.ledger)
    with pytest.raises(NotFound):
        await clients.change_method("nobody", BY_NAME, operator="root")
    client = await clients.register(world.bank.id, name="core", jwk=None, operator="root", method=BY_NAME)
    await clients.revoke(client, operator="root")
    narrowed = await world.narrowing(world.bank)
    with pytest.raises(Conflicting):
        await clients.change_method(client, Method(), operator="root")
    assert await world.narrowing(world.bank) == narrowed

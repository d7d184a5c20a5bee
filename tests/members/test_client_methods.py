"""How a client authenticates is on record, and a change of it takes away what the client held."""

from __future__ import annotations

import pytest

from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import PRIVATE_KEY_JWT, Binding, Method, MethodName
from gateway.identity.certificates import CertificateName
from gateway.identity.clients import find_client
from gateway.members.client_acts import registration
from gateway.members.clients import Clients
from gateway.members.key_source import KeySource
from tests.agreements.world import World, new_key, public

BY_NAME = Method(
    name=MethodName.TLS_CLIENT_AUTH,
    binding=Binding.CERTIFICATE,
    certificate_name=CertificateName.of("san_dns", "core.bank.example"),
)


async def test_a_client_is_entered_with_its_method(world: World) -> None:
    client = await _register(world, None, BY_NAME)
    (entry,) = [one for one in await world.entries() if one.get("act") == "client_registered"]
    assert (entry["client"], entry["actor"]) == (client, {**entry["actor"], "operator": "root", "approver": "second"})
    assert (entry["method"], entry["binding"]) == ("tls_client_auth", "certificate")
    assert entry["certificate_name"] == "san_dns:core.bank.example"
    assert entry.get("keys", []) == []


async def test_a_changed_method_narrows_every_owner_and_is_entered_in_every_log(world: World) -> None:
    client = await _register(world, _keys())
    before = await find_client(world.database, client, world.clock())
    await _change(world, client, BY_NAME)
    after = await find_client(world.database, client, world.clock())
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
    for source, method, code in ((_keys(), BY_NAME, "key_or_certificate"), (None, Method(), "invalid_jwks")):
        with pytest.raises(Invalid) as refused:
            await _register(sqlite_world, source, method)
        assert refused.value.code == code


async def test_only_a_client_that_stands_is_changed(sqlite_world: World) -> None:
    world = sqlite_world
    with pytest.raises(NotFound):
        await _change(world, "nobody", BY_NAME)
    client = await _register(world, None, BY_NAME)
    await Clients(world.database, world.ledger).revoke(client, operator="root")
    narrowed = await world.narrowing(world.bank)
    with pytest.raises(Conflicting):
        await _change(world, client, Method())
    assert await world.narrowing(world.bank) == narrowed


@pytest.mark.parametrize(
    "method",
    [
        None,
        "private_key_jwt",
        {},
        {**Method().facts(), "more": 1},
        {**Method().facts(), "method": "none"},
        {**Method().facts(), "binding": "bearer"},
        {**Method().facts(), "certificates": "[1"},
        {**Method().facts(), "certificates": '["short"]'},
        {**Method().facts(), "assertion_typ": "some"},
        {**BY_NAME.facts(), "certificate_name": "san_dns:*.example"},
        {**BY_NAME.facts(), "certificate_name": "san_dns:Core.Bank.Example"},
        {**BY_NAME.facts(), "binding": "dpop"},
    ],
    ids=str,
)
async def test_a_method_is_proposed_in_one_way_of_writing(sqlite_world: World, method: object) -> None:
    world = sqlite_world
    client = await _register(world, _keys())
    with pytest.raises(Invalid, match="invalid_method"):
        await world.by_two(world.alliance, "change_client_method", client=client, method=method)


async def test_a_name_that_is_taken_is_not_proposed_again(sqlite_world: World) -> None:
    await _register(sqlite_world, None, BY_NAME)
    before = await sqlite_world.entries()
    with pytest.raises(Conflicting, match="already_exists"):
        await _register(sqlite_world, None, BY_NAME)
    client = await _register(sqlite_world, _keys())
    with pytest.raises(Conflicting, match="already_exists"):
        await _change(sqlite_world, client, BY_NAME)
    assert len(await sqlite_world.entries()) == len(before) + 3


def _keys() -> KeySource:
    return KeySource.of({"jwks": {"keys": [public(new_key())]}}, loopback=False)


async def _register(world: World, source: KeySource | None, method: Method = PRIVATE_KEY_JWT) -> str:
    wanted = registration(world.bank.id, "production", "core", source, method)
    return await world.by_two(world.alliance, "register_client", **wanted)


async def _change(world: World, client: str, method: Method) -> None:
    await world.by_two(world.alliance, "change_client_method", client=client, method=method.facts())

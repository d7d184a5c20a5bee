"""Registering clients and keys, on each engine."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import (
    Method,
    add_key,
    change_method,
    is_client_key,
    name_resource_server,
    register_client,
    retire_key,
    revoke_client,
)
from gateway.identity.client_keys import ClientKey, active_keys, publish_keys
from gateway.identity.clients import find_client, publish_at, seek_keys
from tests.identity.world import World, build_second_client


async def test_losing_a_key_moves_the_version_and_gaining_one_does_not(each_world: World) -> None:
    world = each_world
    key = ECKey.generate_key("P-256")
    async with world.database.transaction() as tx:
        thumbprint = await add_key(tx, client_id=world.client, jwk={**key.as_dict(private=False), "kid": "k"}, now_ms=1)
    known = await find_client(world.database, world.client, 1)
    assert known is not None
    assert (known.version, known.state, {kid for kid, _ in known.keys}) == (1, "active", {"k", world.kid})
    async with world.database.transaction() as tx:
        await retire_key(tx, client_id=world.client, thumbprint=thumbprint)
        await revoke_client(tx, client_id=world.client)
    known = await find_client(world.database, world.client, 1)
    assert known is not None
    assert (known.version, known.state, [kid for kid, _ in known.keys]) == (3, "revoked", [world.kid])


async def test_a_key_is_one_clients_for_ever(each_world: World) -> None:
    world = each_world
    other = await build_second_client(world)
    jwk = world.key.as_dict(private=False)
    async with world.database.transaction() as tx:
        await retire_key(tx, client_id=world.client, thumbprint=world.kid)
    for client in (world.client, other.client):
        with pytest.raises(Conflicting):
            async with world.database.transaction() as tx:
                await add_key(tx, client_id=client, jwk=jwk, now_ms=1)
    assert await is_client_key(world.database, world.kid)
    assert not await is_client_key(world.database, "unknown")


async def test_weak_foreign_and_private_keys_are_not_registered(world: World) -> None:
    keys: list[Any] = [
        RSAKey.generate_key(2048, private=True).as_dict(private=True),
        ECKey.generate_key("P-384").as_dict(private=False),
        OKPKey.generate_key("X25519").as_dict(private=False),
        {**OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": "k" * 129},
        {**OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": 7},
        {**OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": ""},
    ]
    for jwk in keys:
        with pytest.raises(Invalid):
            async with world.database.transaction() as tx:
                await add_key(tx, client_id=world.client, jwk=jwk, now_ms=1)


async def test_what_is_unknown_or_over_is_not_changed(world: World) -> None:
    jwk = OKPKey.generate_key("Ed25519").as_dict(private=False)
    async with world.database.transaction() as tx:
        with pytest.raises(NotFound):
            await add_key(tx, client_id="unknown", jwk=jwk, now_ms=1)
        with pytest.raises(NotFound):
            await retire_key(tx, client_id=world.client, thumbprint="unknown")
        with pytest.raises(NotFound):
            await revoke_client(tx, client_id="unknown")
        with pytest.raises(Invalid):
            await register_client(tx, member_id="bank", name=" ", now_ms=1)
        with pytest.raises(Invalid):
            await register_client(tx, member_id="bank", name="n" * 201, now_ms=1)
        await revoke_client(tx, client_id=world.client)
        for change in (
            revoke_client(tx, client_id=world.client),
            retire_key(tx, client_id=world.client, thumbprint=world.kid),
            add_key(tx, client_id=world.client, jwk=jwk, now_ms=1),
            change_method(tx, client_id=world.client, method=Method(strict_typ=True)),
            name_resource_server(tx, client_id=world.client, resource="https://gateway.example/v1", now_ms=1),
        ):
            with pytest.raises(Conflicting, match="client_revoked"):
                await change


async def test_a_retired_key_cannot_be_retired_again_nor_by_another_client(world: World) -> None:
    other = await build_second_client(world)
    async with world.database.transaction() as tx:
        with pytest.raises(NotFound):
            await retire_key(tx, client_id=other.client, thumbprint=world.kid)
        await retire_key(tx, client_id=world.client, thumbprint=world.kid)
        with pytest.raises(NotFound):
            await retire_key(tx, client_id=world.client, thumbprint=world.kid)


async def test_a_key_fetches_tokens_from_its_beginning_until_310_seconds_after_its_end() -> None:
    """The 300 seconds of a token, and the 10 by which clocks may differ."""
    jwk = ECKey.generate_key("P-256").as_dict(private=False)
    key = ClientKey.of({**jwk, "kid": "k" * 128, "nbf": 100, "exp": 200})
    fetched = {now_ms: key.may_have_tokens(now_ms) for now_ms in (99_999, 100_000, 509_999, 510_000)}
    assert fetched == {99_999: False, 100_000: True, 509_999: True, 510_000: False}


async def test_what_is_published_beyond_the_days_share_is_left_out(each_world: World) -> None:
    world = each_world
    known = await active_keys(world.database, world.client)
    new = [ClientKey.of(ECKey.generate_key("P-256").as_dict(private=False)) for _ in range(3)]
    for room, gained in ((-1, 0), (0, 0), (2, 2)):
        async with world.database.transaction() as tx:
            changes = await publish_keys(tx, client_id=world.client, keys=[*known, *new], now_ms=1, room=room)
        assert (len(changes.added), changes.gone) == (gained, ())


async def test_a_published_key_disappears_once(each_world: World) -> None:
    world = each_world
    for now_ms, gone in ((5, (world.kid,)), (6, ())):
        async with world.database.transaction() as tx:
            changes = await publish_keys(tx, client_id=world.client, keys=[], now_ms=now_ms, room=1)
        assert (changes.gone, bool(changes)) == (gone, bool(gone))
    (left,) = await active_keys(world.database, world.client)
    assert left.expires_at == 5


async def test_nobody_takes_the_turn_to_look_for_a_client_that_ended_or_has_no_address(each_world: World) -> None:
    world = each_world

    async def sought(now_ms: int) -> bool:
        async with world.database.transaction() as tx:
            return await seek_keys(tx, client_id=world.client, now_ms=now_ms, pause_ms=1000)

    assert not await sought(5000)
    async with world.database.transaction() as tx:
        await publish_at(tx, client_id=world.client, jwks_uri="https://keys.example/", as_of_ms=1)
    assert [await sought(now_ms) for now_ms in (5000, 5999, 6000)] == [True, False, True]
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    assert not await sought(9000)

"""RFC 7009: a client ends its own tokens, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.database import Query
from gateway.identity import Challenge, TokenKey, TokenRefused, revoke_client
from gateway.identity.revoked import purge
from gateway.identity.tables import revoked_token
from gateway.ledger.errors import LedgerUnavailable
from tests.identity.world import FORM_TYPE, NOW, World, build_second_client, sign

_ROWS = Query(select(revoked_token.c.token, revoked_token.c.expires_at))


async def _over(world: World, token: str, **call: Any) -> str:
    """Why the token no longer counts at the resource."""
    subject = await world.call(token, **call)
    with pytest.raises(Challenge) as challenge:
        await (call.get("identity") or world.identity).require_active(subject)
    assert challenge.value.error == "invalid_token"
    return challenge.value.reason


async def test_a_revoked_token_is_over_at_the_next_call_on_every_process(each_world: World) -> None:
    world = each_world
    other = world.another_process()
    token, spared = await world.token(), await world.token()
    for identity in (world.identity, other):
        await identity.require_active(await world.call(token, identity=identity))
    await world.revoke(token)
    assert await _over(world, token) == "TOKEN_REVOKED"
    assert await _over(world, token, identity=other) == "TOKEN_REVOKED"
    for identity in (world.identity, other):
        await identity.require_active(await world.call(spared, identity=identity))
    assert [subject.client for subject in world.record.revoked] == [world.client]


async def test_a_second_time_nothing_happens(each_world: World) -> None:
    token = await each_world.token()
    await each_world.revoke(token)
    await each_world.revoke(token)
    assert len(each_world.record.revoked) == 1


async def test_only_the_name_of_the_token_is_kept_until_a_day_after_it_has_expired(each_world: World) -> None:
    world = each_world
    token = await world.token()
    name = (await world.call(token)).token
    await world.revoke(token)
    [row] = await world.database.all(_ROWS)
    assert (row["token"], row["expires_at"]) == (name, NOW + 300)
    await purge(world.database, NOW + 300 + 24 * 3600 - 1)
    assert len(await world.database.all(_ROWS)) == 1
    world.clock.pass_seconds(300 + 24 * 3600)
    await world.identity.forget_expired()
    assert await world.database.all(_ROWS) == []


async def test_another_clients_token_is_left_alone_and_noted(world: World) -> None:
    other = await build_second_client(world)
    token = await world.token()
    await other.revoke(token)
    await world.identity.require_active(await world.call(token))
    assert world.record.revoked == []
    assert world.identity.log.attempts["REVOCATION_FOREIGN", other.client] == 1


@pytest.mark.parametrize("hint", [None, "access_token", "something_else"])
async def test_what_is_no_token_of_ours_is_answered_as_if_it_were_revoked(world: World, hint: str | None) -> None:
    token = await world.token()
    head, body, signature = token.split(".")
    foreign = TokenKey.of(Ed25519PrivateKey.generate())
    claims = {"iss": "https://gateway.example", "client_id": world.client, "exp": NOW + 60}
    for text in (
        "nonsense", "a.b.c", "漢字", f"{head}.{body}.{signature[:-4]}AAAA", "x" * 20_000,
        sign(claims, foreign.private, typ="at+jwt", header={"kid": foreign.kid}),
        world.assertion(), await world.introspect_signed(token),
    ):  # fmt: skip
        await world.revoke(text, form={"token_type_hint": hint})
    await world.identity.require_active(await world.call(token))
    world.clock.pass_seconds(301)
    await world.revoke(token)
    assert world.record.revoked == []


async def test_a_hint_never_keeps_a_token_alive(world: World) -> None:
    for hint in ("refresh_token", "access_token", "something_else"):
        token = await world.token()
        await world.revoke(token, form={"token_type_hint": hint})
        assert await _over(world, token) == "TOKEN_REVOKED"


async def test_refresh_tokens_are_not_supported(world: World) -> None:
    with pytest.raises(TokenRefused) as refused:
        await world.revoke("no-access-token", form={"token_type_hint": "refresh_token"})
    assert (refused.value.error, refused.value.status) == ("unsupported_token_type", 400)


async def test_a_request_without_a_token_is_malformed(world: World) -> None:
    for token in (None, ""):
        with pytest.raises(TokenRefused) as refused:
            await world.revoke(token)
        assert (refused.value.error, refused.value.code) == ("invalid_request", "TOKEN_MISSING")


async def test_only_an_authenticated_client_revokes(world: World) -> None:
    token = await world.token()
    endpoint = world.identity.revocation_endpoint
    spent = world.form({"token": token})
    await endpoint.answer([FORM_TYPE], world.form({"token": "another"}))
    bodies = {
        "ASSERTION_MISSING": world.form({"token": token, "client_assertion": None}),
        "ASSERTION_AUDIENCE": world.form({"token": token}, aud="https://gateway.example/revoke"),
        "ASSERTION_EXPIRED": world.form({"token": token}, exp=NOW),
        "ASSERTION_REPLAYED": spent,
    }
    await endpoint.answer([FORM_TYPE], spent)
    second = await world.token()
    for code, body in bodies.items():
        with pytest.raises(TokenRefused) as refused:
            await endpoint.answer([FORM_TYPE], body)
        assert (refused.value.error, refused.value.code) == ("invalid_client", code)
    await world.identity.require_active(await world.call(second))


async def test_an_assertion_that_revoked_gets_no_token(world: World) -> None:
    assertion = world.assertion()
    await world.revoke("nonsense", form={"client_assertion": assertion})
    refused = await world.refusal(form={"client_assertion": assertion})
    assert refused.code == "ASSERTION_REPLAYED"


async def test_a_revoked_client_revokes_nothing(world: World) -> None:
    token = await world.token()
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    with pytest.raises(TokenRefused, match="CLIENT_REVOKED"):
        await world.revoke(token)


async def test_a_suspended_members_client_still_ends_its_tokens(world: World) -> None:
    token = await world.token()
    await world.suspend()
    await world.revoke(token)
    assert len(world.record.revoked) == 1


async def test_without_its_entry_nothing_is_revoked(world: World) -> None:
    token = await world.token()
    world.record.error = LedgerUnavailable()
    with pytest.raises(TokenRefused) as refused:
        await world.revoke(token)
    assert (refused.value.error, refused.value.status) == ("temporarily_unavailable", 503)
    await world.identity.require_active(await world.call(token))

"""RFC 7662 and RFC 9701: who may know what a token is good for, and what a signed answer is not good for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey

from gateway.identity import (
    Binding,
    Challenge,
    Method,
    MethodName,
    Offer,
    TokenRefused,
    add_key,
    jws,
    name_resource_server,
    register_client,
    retire_key,
    revoke_client,
)
from gateway.identity.introspection import prefers_signed
from tests.identity.authority import self_signed
from tests.identity.world import FORM_TYPE, ISSUER, NOW, PROXY, RESOURCE, World, admit, build_second_client, certified

INACTIVE = {"active": False}
READING = {
    "type": "alliance_agreement",
    "agreement": "lasting",
    "datasets": ["shops", "hotels"],
    "purposes": ["market_analysis"],
    "actions": ["read"],
}
OFFER = Offer({"shops": ["market_analysis"], "hotels": ["market_analysis"]}, ["read"], NOW + 10_000)


async def build_resource_server(world: World, member: str = "hotel", resource: str = RESOURCE) -> World:
    """Another member's client, named as a server of the resource."""
    if member not in world.members.admitted:
        await admit(world.database, world.members, member)
    key = OKPKey.generate_key("Ed25519")
    async with world.database.transaction() as tx:
        client = await register_client(tx, member_id=member, name="edge", now_ms=world.clock())
        kid = await add_key(tx, client_id=client, jwk=key.as_dict(private=False), now_ms=world.clock())
        await name_resource_server(tx, client_id=client, resource=resource, now_ms=world.clock())
    return replace(world, client=client, key=key, kid=kid, dpop=ECKey.generate_key("P-256"))


async def test_the_client_and_a_resource_server_learn_what_the_token_says(each_world: World) -> None:
    world = each_world
    edge = await build_resource_server(world)
    token = await world.token()
    claims = json.loads(jws.take_apart(token, limit=10_000).payload)
    expected = {
        "active": True,
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": f"client:{world.client}",
        "client_id": world.client,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": claims["jti"],
        "cnf": {"jkt": world.dpop.thumbprint()},
        "token_type": "DPoP",
        "authorization_details": [{"type": "alliance_member", "actions": ["draft", "sign"]}],
    }
    assert await world.introspect(token) == expected
    assert await edge.introspect(token) == expected
    assert await edge.introspect(token, identity=world.another_process()) == expected


async def test_everybody_else_hears_what_they_would_hear_of_nothing(each_world: World) -> None:
    """Also while somebody is a server of the resource: that is one client's, and no other's."""
    world = each_world
    token = await world.token()
    assert (await (await build_resource_server(world)).introspect(token))["active"] is True
    same_member = await build_second_client(world)
    elsewhere = await build_resource_server(world, resource="https://other.example/v1")
    for stranger in (same_member, elsewhere):
        assert await stranger.introspect(token) == INACTIVE == await stranger.introspect("nonsense")
        assert world.identity.log.attempts["INTROSPECTION_FOREIGN", stranger.client] == 1
    world.members.admitted["hotel"] = "another alliance"
    assert await (await build_resource_server(world)).introspect(token) == INACTIVE


async def test_a_revoked_or_suspended_resource_server_hears_nothing(world: World) -> None:
    token, edge = await world.token(), await build_resource_server(world)
    world.members.suspended.add("hotel")
    assert await edge.introspect(token) == INACTIVE
    world.members.suspended.clear()
    assert (await edge.introspect(token))["active"] is True
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=edge.client)
    with pytest.raises(TokenRefused, match="CLIENT_REVOKED"):
        await edge.introspect(token)


@pytest.mark.parametrize("end", ["revoked", "expired", "key retired", "client revoked"])
async def test_a_token_that_is_over_is_inactive_at_once(each_world: World, end: str) -> None:
    world = each_world
    edge, token = await build_resource_server(world), await world.token()
    assert (await edge.introspect(token))["active"] is True
    async with world.database.transaction() as tx:
        if end == "key retired":
            await retire_key(tx, client_id=world.client, thumbprint=world.kid)
        elif end == "client revoked":
            await revoke_client(tx, client_id=world.client)
    if end == "revoked":
        await world.revoke(token)
    elif end == "expired":
        world.clock.pass_seconds(300)
    assert await edge.introspect(token) == INACTIVE
    assert await edge.introspect(token, identity=world.another_process()) == INACTIVE


async def test_a_token_outlives_that_its_client_gains_a_key(each_world: World) -> None:
    world = each_world
    edge, token = await build_resource_server(world), await world.token()
    jwk = OKPKey.generate_key("Ed25519").as_dict(private=False)
    async with world.database.transaction() as tx:
        await add_key(tx, client_id=world.client, jwk=jwk, now_ms=1)
    assert (await edge.introspect(token))["active"] is True


async def test_the_details_are_those_that_still_stand(world: World) -> None:
    world.terms.offers["bank", "lasting"] = OFFER
    both = [READING, {"type": "alliance_member", "actions": ["sign"]}]
    token, reading = await world.token(details=both), await world.token(details=[READING])
    member = {"type": "alliance_member", "actions": ["sign"]}
    assert (await world.introspect(token))["authorization_details"] == [member, READING]
    world.terms.offers["bank", "lasting"] = replace(OFFER, datasets={"shops": ["market_analysis"]})
    assert (await world.introspect(token))["authorization_details"] == [member, {**READING, "datasets": ["shops"]}]
    del world.terms.offers["bank", "lasting"]
    assert (await world.introspect(token))["authorization_details"] == [member]
    assert await world.introspect(reading) == INACTIVE


async def test_an_offer_that_grew_adds_nothing_to_a_token(world: World) -> None:
    world.terms.offers["bank", "lasting"] = replace(OFFER, datasets={"shops": ["market_analysis"]})
    token = await world.token(details=[READING])
    world.terms.offers["bank", "lasting"] = OFFER
    assert (await world.introspect(token))["authorization_details"] == [{**READING, "datasets": ["shops"]}]


async def test_a_request_needs_a_client_and_a_token(world: World) -> None:
    token = await world.token()
    with pytest.raises(TokenRefused, match="TOKEN_MISSING"):
        await world.introspect(None)
    endpoint = world.identity.introspection_endpoint
    body = world.form({"token": token})
    await endpoint.answer([FORM_TYPE], body)
    for refused_body, code in (
        (body, "ASSERTION_REPLAYED"),
        (world.form({"token": token, "client_assertion": None}), "ASSERTION_MISSING"),
        (world.form({"token": token}, aud=RESOURCE), "ASSERTION_AUDIENCE"),
    ):
        with pytest.raises(TokenRefused) as refused:
            await endpoint.answer([FORM_TYPE], refused_body)
        assert (refused.value.error, refused.value.code) == ("invalid_client", code)


async def test_a_signed_answer_verifies_by_the_published_keys(world: World) -> None:
    edge, token = await build_resource_server(world), await world.token()
    keys = KeySet.import_key_set(await world.identity.jwks())  # type: ignore[arg-type]
    for text, told in ((token, await edge.introspect(token)), ("nonsense", INACTIVE)):
        answer = jwt.decode(await edge.introspect_signed(text), keys, algorithms=["Ed25519"])
        assert answer.header["typ"] == "token-introspection+jwt"
        assert answer.claims == {"iss": ISSUER, "aud": edge.client, "iat": NOW, "token_introspection": told}


async def test_a_signed_answer_is_no_access_token_no_assertion_and_no_proof(world: World) -> None:
    token = await world.token()
    answer = await world.introspect_signed(token)
    assert (await world.challenge(answer)).reason == "TOKEN_TYPE"
    as_assertion = await world.refusal(form={"client_assertion": answer})
    assert (as_assertion.error, as_assertion.code) == ("invalid_client", "CLIENT_UNKNOWN")
    as_proof = await world.refusal(proof=answer)
    assert (as_proof.error, as_proof.code) == ("invalid_dpop_proof", "PROOF_HEADER")
    assert (await world.challenge(token, proof=answer)).reason == "PROOF_HEADER"
    assert await world.introspect(answer) == INACTIVE


async def test_even_one_that_names_a_client_as_issuer_is_no_assertion(world: World) -> None:
    """Were the gateway's key some client's key, the type alone would have to tell them apart; it does."""
    typ = "token-introspection+jwt"
    assert (await world.refusal(typ=typ)).code == "ASSERTION_TYPE"


@pytest.mark.parametrize(
    ("accept", "signed"),
    [
        ([], False),
        (["*/*"], False),
        (["application/*"], False),
        (["application/json"], False),
        (["application/token-introspection+jwt"], True),
        (["Application/Token-Introspection+JWT"], True),
        (["application/json, application/token-introspection+jwt"], True),
        (["application/json", "application/token-introspection+jwt"], True),
        (["application/json;q=0.9, application/token-introspection+jwt;q=0.8"], False),
        (["application/json;q=0.8,application/token-introspection+jwt; q=0.9"], True),
        (["application/token-introspection+jwt;q=0"], False),
        (["application/token-introspection+jwt;q=0.000"], False),
        (["application/token-introspection+jwt;q=nan"], False),
        (["application/token-introspection+jwt;q=\xb2"], False),
        ([",;,;q=,;;"], False),
    ],
)
def test_the_signed_form_is_given_to_those_who_ask_for_it(accept: list[str], signed: bool) -> None:
    assert prefers_signed([(b"accept", value.encode("latin-1")) for value in accept]) is signed


async def test_a_suspended_members_token_is_good_for_withdrawals_alone(world: World) -> None:
    world.terms.offers["bank", "lasting"] = OFFER
    details: list[Any] = [READING, {"type": "alliance_member", "actions": ["sign", "withdraw"]}]
    token, other = await world.token(details=details), await world.token()
    await world.suspend()
    assert (await world.introspect(token))["authorization_details"] == [
        {"type": "alliance_member", "actions": ["withdraw"]}
    ]
    assert await world.introspect(other) == INACTIVE


async def test_a_client_with_a_certificate_asks_and_revokes_by_it(world: World) -> None:
    mine = self_signed(now=NOW)
    method = Method(
        name=MethodName.SELF_SIGNED_TLS_CLIENT_AUTH, binding=Binding.CERTIFICATE, certificates=(mine.thumbprint,)
    )
    client = await certified(world, method)
    token = await client.token(mine.header)
    headers = [FORM_TYPE, *client.headers(mine.header)]
    body = urlencode({"client_id": client.client, "token": token}).encode()
    told = json.loads((await client.identity.introspection_endpoint.answer(headers, body, PROXY)).body)
    assert (told["token_type"], told["cnf"]) == ("Bearer", {"x5t#S256": mine.thumbprint})
    for endpoint in (client.identity.introspection_endpoint, client.identity.revocation_endpoint):
        with pytest.raises(TokenRefused, match="CERTIFICATE_MISSING"):
            await endpoint.answer([FORM_TYPE], body, PROXY)
    await client.identity.revocation_endpoint.answer(headers, body, PROXY)
    with pytest.raises(Challenge) as challenge:
        await client.identity.require_active(await client.call(token, mine.header))
    assert challenge.value.headers()[0][1].startswith("Bearer ")
    assert json.loads((await client.identity.introspection_endpoint.answer(headers, body, PROXY)).body) == INACTIVE

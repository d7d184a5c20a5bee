"""Forged, stretched and widened access tokens; tokens that should be over."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import OKPKey

from gateway.errors import Refused
from gateway.identity import Challenge, Offer, retire_key
from tests.identity.world import ISSUER, NOW, RESOURCE, World, build_second_client, sign


def _made(world: World, *, key: Any = None, typ: str = "at+jwt", **changes: Any) -> str:
    """A token that is good but for the changes, signed by the gateway's own key unless another is given."""
    claims = {
        "iss": ISSUER, "aud": RESOURCE, "sub": f"client:{world.client}", "client_id": world.client, "iat": NOW,
        "exp": NOW + 300, "jti": "t" * 22, "cnf": {"jkt": world.dpop.thumbprint()}, "alliance": "alliance",
        "member": "bank", "client_version": 2,
        "authorization_details": [{"type": "alliance_member", "actions": ["draft"]}], **changes,
    }  # fmt: skip
    return sign(claims, key or world.token_key.private, typ=typ, header={"kid": world.token_key.kid})


def _agreement(*, datasets: Any = ("places",), purposes: Any = ("analysis",), actions: Any = ("read",)) -> Any:
    return [
        {"type": "alliance_agreement", "agreement": "deal", "datasets": [*datasets], "purposes": [*purposes],
         "actions": [*actions]}
    ]  # fmt: skip


def _offer(world: World, ends_at: int = NOW + 10_000) -> None:
    world.terms.offers["bank", "deal"] = Offer({"places": ("analysis",)}, ("read",), ends_at)


async def test_token_signed_by_another_key_under_our_kid(world: World) -> None:
    await world.call(_made(world))
    assert (await world.challenge(_made(world, key=OKPKey.generate_key("Ed25519")))).reason == "TOKEN_SIGNATURE"


async def test_token_that_is_another_kind_of_token(world: World) -> None:
    assert (await world.challenge(_made(world, typ="JWT"))).reason == "TOKEN_TYPE"


async def test_token_for_another_resource(world: World) -> None:
    assert (await world.challenge(_made(world, aud="https://elsewhere.example/v1"))).reason == "TOKEN_AUDIENCE"


async def test_token_of_another_issuer(world: World) -> None:
    assert (await world.challenge(_made(world, iss="https://elsewhere.example"))).reason == "TOKEN_AUDIENCE"


async def test_token_that_has_expired(world: World) -> None:
    assert (await world.challenge(_made(world, exp=NOW))).reason == "TOKEN_EXPIRED"


async def test_token_that_has_expired_since_it_was_remembered(world: World) -> None:
    token = await world.token()
    await world.call(token)
    world.clock.pass_seconds(300)
    assert (await world.challenge(token)).reason == "TOKEN_EXPIRED"


async def test_token_that_outlives_its_agreement(world: World) -> None:
    _offer(world, ends_at=NOW + 30)
    token = await world.token(details=_agreement())
    world.clock.pass_seconds(30)
    assert (await world.challenge(token)).reason == "TOKEN_EXPIRED"


async def test_token_under_an_agreement_that_is_over(world: World) -> None:
    _offer(world, ends_at=NOW)
    assert (await world.refusal(details=_agreement())).code == "DETAILS_NOTHING_GRANTED"


async def test_token_for_a_dataset_that_was_not_agreed(world: World) -> None:
    _offer(world)
    await world.ask(details=_agreement(datasets=("places", "secrets")))
    assert [grant.datasets for grant in world.record.granted[-1].agreements] == [("places",)]


async def test_token_for_a_purpose_that_was_not_agreed(world: World) -> None:
    _offer(world)
    await world.ask(details=_agreement(purposes=("analysis", "resale")))
    assert [grant.purposes for grant in world.record.granted[-1].agreements] == [("analysis",)]


async def test_token_for_an_action_that_was_not_agreed(world: World) -> None:
    _offer(world)
    await world.ask(details=_agreement(actions=("read", "delete")))
    assert [grant.actions for grant in world.record.granted[-1].agreements] == [("read",)]


async def test_token_for_an_action_that_no_member_has(world: World) -> None:
    await world.ask(details=[{"type": "alliance_member", "actions": ["draft", "administer"]}])
    assert world.record.granted[-1].actions == {"draft"}


async def test_token_for_nothing(world: World) -> None:
    assert (await world.refusal(details=[])).code == "DETAILS_NOTHING_GRANTED"


async def test_details_with_a_field_that_nobody_knows(world: World) -> None:
    details = [{"type": "alliance_member", "actions": ["draft"], "privileges": ["all"]}]
    assert (await world.refusal(details=details)).code == "DETAILS_MALFORMED"


async def test_details_that_say_a_member_twice(world: World) -> None:
    twice = '[{"type":"alliance_member","actions":["draft"],"actions":["upload"]}]'
    assert (await world.refusal(form={"authorization_details": twice})).code == "DETAILS_MALFORMED"


async def test_details_without_end(world: World) -> None:
    details = [{"type": "alliance_member", "actions": ["draft"]}] * 17
    assert (await world.refusal(details=details)).code == "DETAILS_MALFORMED"


async def test_token_after_it_was_revoked(world: World) -> None:
    subject = await world.call(token := await world.token())
    await world.revoke(token)
    with pytest.raises(Challenge):
        await world.identity.require_active(subject)


async def test_token_after_its_client_changed(world: World) -> None:
    subject = await world.call(await world.token())
    async with world.database.transaction() as tx:
        await retire_key(tx, client_id=world.client, thumbprint=world.kid)
    with pytest.raises(Challenge):
        await world.identity.require_active(subject)


async def test_token_after_its_member_was_suspended(world: World) -> None:
    subject = await world.call(await world.token())
    await world.suspend()
    with pytest.raises(Refused, match="MEMBER_SUSPENDED"):
        await world.identity.require_active(subject)


async def test_token_revoked_by_another_client(world: World) -> None:
    subject = await world.call(token := await world.token())
    other = await build_second_client(world)
    await other.revoke(token)
    await world.identity.require_active(subject)


async def test_token_looked_into_by_another_client(world: World) -> None:
    token = await world.token()
    assert (await world.introspect(token))["active"] is True
    assert await (await build_second_client(world)).introspect(token) == {"active": False}


async def test_token_that_is_revoked_and_shown_as_good(world: World) -> None:
    token = await world.token()
    await world.revoke(token)
    assert await world.introspect(token) == {"active": False}


async def test_signed_introspection_as_an_access_token(world: World) -> None:
    assert (await world.challenge(await world.introspect_signed(await world.token()))).reason == "TOKEN_TYPE"

"""A client and its own registration (RFC 7592), and proposals of further ones (RFC 7591), over HTTP."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.approvals import client_proposer
from gateway.database import Query
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import Binding, Method, MethodName
from gateway.identity.certificates import CertificateName
from gateway.identity.client_keys import active_keys
from gateway.identity.revoked import TokenOver
from gateway.ledger.tables import head
from gateway.members.client_acts import registration
from gateway.members.key_source import KeySource
from tests.access.world import ENGINES, Shared, records, shared_on
from tests.alliance import Alliance, Member, new_key, public

_ROTATE = {"type": "alliance_member", "actions": ["rotate"]}
_REGISTER = {"type": "alliance_member", "actions": ["register"]}


def _url(member: Member) -> str:
    return f"/v1/clients/{member.client}"


async def _read(member: Member) -> dict[str, Any]:
    answer = await member.get(_url(member), await member.token(_ROTATE))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def _put(member: Member, token: str = "", **changes: Any) -> httpx.Response:
    document = {"client_id": member.client, **changes}
    return await member.call("PUT", _url(member), token or await member.token(_ROTATE), json=document)


async def _narrowing(shared: Shared) -> int:
    """How often permits to read the bank's data had to be judged anew."""
    row = await shared.gateway.database.one(Query(select(head.c.narrowing).where(head.c.log_id == shared.bank.id)))
    assert row is not None
    return int(row["narrowing"])


def _set(*keys: Any) -> dict[str, Any]:
    return {"keys": [public(key) for key in keys]}


async def test_a_client_reads_its_own_registration(shared: Shared) -> None:
    hotel = shared.hotel
    answer = await hotel.get(_url(hotel), await hotel.token(_ROTATE))
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    (jwk,) = document.pop("jwks")["keys"]
    assert jwk == {**public(hotel.client_key), "kid": hotel.client_key.thumbprint(), "use": "sig", "alg": "ES256"}
    assert document == {
        "client_id": hotel.client,
        "client_id_issued_at": hotel.now,
        "client_name": "hotel systems",
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "dpop_bound_access_tokens": True,
        "tls_client_certificate_bound_access_tokens": False,
        "registration_client_uri": f"{shared.alliance.base}{_url(hotel)}",
        "alliance_member": hotel.id,
        "alliance_environment": "production",
        "alliance_registration": "active",
    }


async def test_keys_change_over_without_a_failing_request(shared: Shared) -> None:
    """Add, change over, let the old one run out, drop it: as a client does that must never be refused."""
    deal = await shared.market()
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    held = [await shared.token(deal)]

    async def served() -> None:
        for token in held:
            assert len(records(await hotel.get(deal.path, token))) == 3
        held.append(await shared.token(deal))

    assert (await _put(hotel, jwks=_set(old, new))).status_code == 200
    await served()
    hotel.client_key = new
    await served()
    ending = {**public(old), "exp": hotel.now + 60}
    assert (await _put(hotel, jwks={"keys": [ending, public(new)]})).status_code == 200
    await served()
    shared.clock.pass_seconds(60)
    hotel.client_key = old
    assert (await hotel.ask_token()).status_code == 401, "it has run out"
    hotel.client_key = new
    await served()
    shared.clock.pass_seconds(311)
    held[:] = [await shared.token(deal)]
    assert (await _put(hotel, jwks=_set(new))).status_code == 200
    await served()
    acts = [
        entry["act"] for entry in await shared.entries(shared.alliance.id) if "client_keys" in str(entry.get("act"))
    ]
    assert acts == ["client_keys_changed"] * 3


@pytest.mark.parametrize("life", [{"exp": 1}, {"exp": 0}, {"nbf": 300}], ids=str)
async def test_a_key_whose_life_is_cut_off_ends_every_token(shared: Shared, life: dict[str, int]) -> None:
    """Else a key could be dropped in two steps, and what its thief had fetched would live on."""
    deal = await shared.market()
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    token = await shared.token(deal)
    narrowing = await _narrowing(shared)
    life = {name: hotel.now + count if name == "nbf" or not count else count for name, count in life.items()}
    assert (await _put(hotel, jwks={"keys": [{**public(old), **life}, public(new)]})).status_code == 200
    assert (await hotel.get(deal.path, token)).status_code == 401
    assert await _narrowing(shared) == narrowing + 1
    assert "client_keys_changed" in [entry.get("act") for entry in await shared.entries(shared.bank.id)]
    hotel.client_key = new
    assert len(records(await hotel.get(deal.path, await shared.token(deal)))) == 3


async def test_a_key_dropped_after_it_ran_out_ends_what_it_fetched_at_last(shared: Shared) -> None:
    """A token outlives the key that fetched it by up to 300 seconds; dropped in them, the key ends it."""
    deal = await shared.market()
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    ending = {**public(old), "exp": hotel.now + 60}
    assert (await _put(hotel, jwks={"keys": [ending, public(new)]})).status_code == 200
    shared.clock.pass_seconds(59)
    token = await shared.token(deal)
    shared.clock.pass_seconds(299)
    assert len(records(await hotel.get(deal.path, token))) == 3
    hotel.client_key = new
    assert (await _put(hotel, jwks=_set(new))).status_code == 200
    assert (await hotel.get(deal.path, token)).status_code == 401


async def test_a_key_dropped_at_once_ends_every_token(shared: Shared) -> None:
    deal = await shared.market()
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    token = await shared.token(deal)
    assert (await _put(hotel, jwks=_set(new))).status_code == 200
    answer = await hotel.get(deal.path, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert (await hotel.ask_token()).status_code == 401
    hotel.client_key = new
    assert len(records(await hotel.get(deal.path, await shared.token(deal)))) == 3
    entry = (await shared.entries(shared.stranger.id))[-1]
    assert (entry["act"], entry["gone"]) == ("client_keys_changed", [old.thumbprint()])
    assert entry["actor"] == {"member": hotel.id, "client": hotel.client}


@pytest.mark.parametrize("what", ["key", "token"])
async def test_no_key_comes_after_the_entry_that_ended_the_callers_token(shared: Shared, what: str) -> None:
    """An update that was let in, and waits for the log's lock while an operator, or another process, ends its token."""
    hotel, gateway = shared.hotel, shared.gateway
    token = await hotel.token(_ROTATE)
    assert (await hotel.get(_url(hotel), token)).status_code == 200
    subject = await shared.subject(hotel, token)
    if what == "key":
        await gateway.clients.retire_key(hotel.client, hotel.client_key.thumbprint(), operator="test")
    else:
        await hotel.revoke(token)
    before = await active_keys(gateway.database, hotel.client)
    with pytest.raises(TokenOver):
        await gateway.clients.rotate(subject, KeySource.of({"jwks": _set(new_key())}, loopback=False))
    assert await active_keys(gateway.database, hotel.client) == before


async def test_an_update_that_changes_nothing_is_no_entry(shared: Shared) -> None:
    document = await _read(shared.hotel)
    token = await shared.hotel.token(_ROTATE)
    before = await shared.entries(shared.alliance.id)
    answer = await shared.hotel.call("PUT", _url(shared.hotel), token, json=document)
    assert (answer.status_code, answer.json()) == (200, document)
    assert await shared.entries(shared.alliance.id) == before


async def test_a_key_begins_and_ends_when_it_says(shared: Shared) -> None:
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    life = {"nbf": hotel.now + 100, "exp": hotel.now + 200}
    answer = await _put(hotel, jwks={"keys": [public(old), {**public(new), **life}]})
    lives = {jwk["kid"]: (jwk.get("nbf"), jwk.get("exp")) for jwk in answer.json()["jwks"]["keys"]}
    assert lives == {old.thumbprint(): (None, None), new.thumbprint(): (life["nbf"], life["exp"])}
    hotel.client_key = new
    for passed, status in ((99, 401), (1, 200), (99, 200), (1, 401)):
        shared.clock.pass_seconds(passed)
        assert (await hotel.ask_token()).status_code == status


async def test_a_client_ends_itself(shared: Shared) -> None:
    deal = await shared.market()
    hotel, token = shared.hotel, await shared.token(deal)
    answer = await hotel.call("DELETE", _url(hotel), await hotel.token(_ROTATE))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert (await hotel.get(deal.path, token)).status_code == 401
    assert (await hotel.ask_token()).json()["error"] == "invalid_client"
    revoked = [entry for entry in await shared.entries(shared.bank.id) if entry.get("act") == "client_revoked"]
    assert [entry["actor"] for entry in revoked] == [{"member": hotel.id, "client": hotel.client}]


async def test_a_proposed_client_is_none_until_an_operator_approves(shared: Shared) -> None:
    hotel = shared.hotel
    second = Member("second", shared.alliance, id=hotel.id)
    wanted = {"client_name": "second", "jwks": _set(second.client_key), "unknown": {"is": "ignored"}}
    answer = await hotel.post("/v1/clients", await hotel.token(_REGISTER), wanted)
    assert (answer.status_code, answer.headers["cache-control"]) == (202, "no-store")
    document = answer.json()
    assert (document["alliance_registration"], document["alliance_member"]) == ("pending", hotel.id)
    assert "unknown" not in document
    second.client = document["client_id"]
    refused = await second.ask_token()
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    (one,) = await shared.gateway.approvals.pending(shared.alliance.id)
    assert (one.id, one.proposed_by) == (document["alliance_proposal"], client_proposer(hotel.client))
    assert await shared.gateway.approvals.approve(one.id, operator="bob") == second.client
    known = await _read(second)
    assert known["registration_client_uri"] == document["registration_client_uri"]
    assert (known["alliance_registration"], known["client_name"]) == ("active", "second")


async def test_a_declined_client_never_authenticates(shared: Shared) -> None:
    second = Member("second", shared.alliance, id=shared.hotel.id)
    wanted = {"client_name": "second", "jwks": _set(second.client_key)}
    answer = await shared.hotel.post("/v1/clients", await shared.hotel.token(_REGISTER), wanted)
    second.client = answer.json()["client_id"]
    await shared.gateway.approvals.decline(answer.json()["alliance_proposal"], operator="bob")
    assert (await second.ask_token()).status_code == 401


async def test_the_metadata_names_the_registration_endpoint(shared: Shared) -> None:
    answer = await shared.alliance.http.get("/.well-known/oauth-authorization-server")
    assert answer.json()["registration_endpoint"] == f"{shared.alliance.base}/v1/clients"


async def test_a_member_has_several_clients_and_each_its_own_keys(shared: Shared) -> None:
    systems = [Member(f"system {number}", shared.alliance, id=shared.hotel.id) for number in range(3)]
    for system in systems:
        system.client = await shared.alliance.register(system, system.name)
        assert (await system.ask_token()).status_code == 200
    await shared.gateway.clients.revoke(systems[1].client, operator="test")
    assert [(await system.ask_token()).status_code for system in systems] == [200, 401, 200]


async def test_a_client_with_a_certificate_is_described_and_has_no_keys_to_change(shared: Shared) -> None:
    hotel, registered = shared.hotel, shared.gateway.registration
    method = Method(
        name=MethodName.TLS_CLIENT_AUTH,
        binding=Binding.CERTIFICATE,
        certificate_name=CertificateName.of("san_dns", "core.hotel.example"),
    )
    wanted = registration(hotel.id, "production", "core", None, method)
    client = await shared.alliance.by_two("register_client", **wanted)
    await _read(hotel)  # settles the nonce
    subject = replace(await shared.subject(hotel, await hotel.token(_ROTATE)), client=client)
    document = await registered.read(subject, client)
    assert document["token_endpoint_auth_method"] == "tls_client_auth"
    assert document["tls_client_auth_san_dns"] == "core.hotel.example"
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert document.keys().isdisjoint(("jwks", "jwks_uri"))
    body = json.dumps({"client_id": client, "jwks": _set(new_key())}).encode()
    with pytest.raises(Conflicting, match="client_by_certificate"):
        await registered.update(subject, client, body)


@pytest.mark.parametrize("engine", ENGINES)
async def test_rotations_at_once_leave_one_set_of_keys(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    async with shared_on(request, tmp_path, engine) as shared:
        hotel, token = shared.hotel, await shared.hotel.token(_ROTATE)
        await hotel.get(_url(hotel), token)
        sets = [[hotel.client_key, new_key()] for _ in range(6)]
        answers = await asyncio.gather(*(_put(hotel, token, jwks=_set(*keys)) for keys in sets))
        assert {answer.status_code for answer in answers} <= {200, 400, 401}
        assert 200 in {answer.status_code for answer in answers}
        held = {jwk["kid"] for jwk in (await _read(hotel))["jwks"]["keys"]}
        assert held in [{key.thumbprint() for key in keys} for keys in sets]


async def test_what_is_for_tests_and_what_is_real_never_meet(shared: Shared) -> None:
    deal = await shared.market()
    sandbox = Alliance(shared.gateway, shared.alliance.http, environment="test")
    sandbox.id = await shared.gateway.members.create_alliance("Sandbox", operator="test", environment="test")
    await shared.gateway.activate_policy(sandbox.id, operator="test")
    tester = await sandbox.join("hotel")
    assert (await _read(tester))["alliance_environment"] == "test"
    nothing = await tester.ask_token(tester.under(deal.agreement, deal.dataset))
    assert (nothing.status_code, nothing.json()["error"]) == (400, "invalid_authorization_details")
    assert (await tester.get(deal.path, await tester.token(), purpose="market_analysis")).status_code == 404
    acts = {entry["act"]: entry for entry in await shared.entries(sandbox.id) if "act" in entry}
    assert [acts[act]["environment"] for act in ("alliance_founded", "client_registered")] == ["test", "test"]
    source = KeySource.of({"jwks": _set(new_key())}, loopback=False)
    propose = shared.gateway.approvals.propose
    with pytest.raises(Invalid, match="environment_differs"):
        await propose(sandbox.id, "register_client", registration(tester.id, "production", "x", source), operator="a")
    with pytest.raises(NotFound):
        await propose(shared.alliance.id, "register_client", registration(tester.id, "test", "x", source), operator="a")


async def test_a_client_serves_this_gateways_resource_and_no_other(shared: Shared) -> None:
    """What a client may ask about is what its alliance's tokens are for."""
    ours = shared.gateway.identity.resource
    for resource in (f"{ours}/", ours.removesuffix("/v1"), "https://elsewhere.example/v1"):
        with pytest.raises(Invalid, match="resource_unknown"):
            await shared.alliance.by_two("name_resource_server", client=shared.bank.client, resource=resource)
    await shared.alliance.by_two("name_resource_server", client=shared.bank.client, resource=ours)


async def test_operators_of_another_alliance_propose_nothing_for_a_client(shared: Shared) -> None:
    other = await shared.gateway.members.create_alliance("Another", operator="anna")
    wanted = {"client": shared.bank.client, "jwk": public(new_key())}
    with pytest.raises(NotFound):
        await shared.gateway.approvals.propose(other, "add_client_key", wanted, operator="anna")

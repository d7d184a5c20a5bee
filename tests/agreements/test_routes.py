from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from gateway.agreements.document_routes import routes as document_routes
from gateway.agreements.routes import routes as agreement_routes
from gateway.errors import GatewayError, NotFound, TooLarge
from gateway.identity.subject import Subject
from gateway.members.directory import Directory
from gateway.members.routes import routes as member_routes
from tests.agreements.world import Company, World, new_key, public
from tests.company_signatures import sign_terms


class Site:
    """The routes of both packages over HTTP; who asks is said by a header instead of a token."""

    def __init__(self, world: World) -> None:
        self.world = world
        app = FastAPI()
        app.include_router(agreement_routes(self._authenticate, world.agreements, world.life, world.negotiation))
        app.include_router(document_routes(self._authenticate, world.agreements, world.pdf))
        app.include_router(member_routes(self._authenticate, Directory(world.database), world.keys))
        app.add_exception_handler(GatewayError, self._problem)
        self.app = app
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test/v1")

    async def _authenticate(self, request: Request) -> Subject:
        world = self.world
        everyone = (world.airline, world.bank, world.hotel, world.stranger)
        return next(one.subject for one in everyone if one.id == request.headers["member"])

    async def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        status = 404 if isinstance(error, NotFound) else 413 if isinstance(error, TooLarge) else 400
        return Response(json.dumps({"code": error.code, "detail": error.detail, "field": error.field}), status)

    async def ask(self, company: Company, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"member": company.id, **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)


@pytest.fixture
async def site(sqlite_world: World) -> AsyncIterator[Site]:
    built = Site(sqlite_world)
    yield built
    await built.client.aclose()


async def test_two_members_agree_over_http(site: Site) -> None:
    world = site.world
    drafted = await site.ask(world.airline, "POST", "/agreements", content=world.proposal())
    assert drafted.status_code == 201
    path = f"/agreements/{drafted.json()['id']}"
    for company in (world.bank, world.airline):
        terms = await site.ask(company, "GET", f"{path}/terms")
        assert terms.headers["content-type"] == "application/json"
        jws = sign_terms(terms.content, company.key)
        signed = await site.ask(company, "POST", f"{path}/signatures", json={"jws": jws})
        assert signed.status_code == 200
    assert signed.json()["state"] == "signed"
    assert (await site.ask(world.bank, "GET", path)).json() == signed.json()
    assert {one["member"] for one in signed.json()["signatures"]} == {world.bank.id, world.airline.id}
    ended = await site.ask(world.bank, "POST", f"{path}/termination")
    assert (ended.status_code, ended.json()["state"]) == (200, "terminated")


async def test_the_same_request_with_a_key_is_answered_the_same(site: Site) -> None:
    headers = {"Idempotency-Key": "k"}
    world = site.world
    first, again = [
        await site.ask(world.airline, "POST", "/agreements", content=world.proposal(), headers=headers)
        for _ in range(2)
    ]
    assert (again.status_code, again.content) == (first.status_code, first.content)
    listed = (await site.ask(world.airline, "GET", "/agreements")).json()
    assert [one["id"] for one in listed["items"]] == [first.json()["id"]]


async def test_to_others_every_path_of_an_agreement_looks_like_none(site: Site) -> None:
    world = site.world
    agreement = await world.signed()
    for company in (world.hotel, world.stranger):
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/terms", None),
            ("POST", "/signatures", {"jws": "a.b.c"}),
            ("POST", "/termination", None),
        ):
            there = await site.ask(company, method, f"/agreements/{agreement}{path}", json=body)
            nowhere = await site.ask(company, method, f"/agreements/{'0' * 32}{path}", json=body)
            assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)
            assert there.status_code == 404
        assert (await site.ask(company, "GET", "/agreements")).json() == {"items": [], "next": None}


async def test_agreements_are_listed_page_by_page(site: Site) -> None:
    world = site.world
    own = sorted([await world.drafted() for _ in range(5)])
    found, after = [], None
    while True:
        params = {"limit": 2} | ({"after": after} if after else {})
        page = (await site.ask(world.bank, "GET", "/agreements", params=params)).json()
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == own


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "a b"}, {"after": ""}])
async def test_a_bad_page_is_refused(site: Site, params: dict[str, Any]) -> None:
    for path in ("/agreements", "/members"):
        assert (await site.ask(site.world.bank, "GET", path, params=params)).status_code == 422


async def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(site: Site) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 65_536

    answer = await site.ask(site.world.airline, "POST", "/agreements", content=endless())
    assert answer.status_code == 413
    assert sent < 1000


@pytest.mark.parametrize("body", [b"", b"[]", b'{"jws": 1}', b'{"jws": "a", "x": 1}', b'{"jws": "a", "jws": "b"}'])
async def test_a_signature_is_one_string_and_nothing_else(site: Site, body: bytes) -> None:
    agreement = await site.world.drafted()
    before = await site.world.entries()
    answer = await site.ask(site.world.bank, "POST", f"/agreements/{agreement}/signatures", content=body)
    assert answer.status_code == 400
    assert await site.world.entries() == before


async def test_the_directory_shows_members_and_a_confirmation_over_http(site: Site) -> None:
    world = site.world
    fingerprint = await world.add_signing_key(world.bank.id, public(new_key()))

    async def confirmed() -> bool:
        items = (await site.ask(world.airline, "GET", "/members")).json()["items"]
        keys = {key["fingerprint"]: key for one in items for key in one["signing_keys"]}
        return bool(keys[fingerprint]["confirmed"])

    assert not await confirmed()
    path = f"/signing-keys/{fingerprint}/confirmation"
    assert (await site.ask(world.airline, "POST", path)).status_code == 204
    assert await confirmed()
    assert (await site.ask(world.stranger, "POST", path)).status_code == 404
    page = (await site.ask(world.airline, "GET", "/members", params={"limit": 2})).json()
    rest = (await site.ask(world.airline, "GET", "/members", params={"limit": 2, "after": page["next"]})).json()
    assert len(page["items"] + rest["items"]) == 3
    assert rest["next"] is None


def test_the_published_schema_of_a_proposal_names_every_member_of_the_terms() -> None:
    from gateway.agreements.schemas import PROPOSAL
    from gateway.agreements.terms import OPTIONAL, PROPOSED

    assert tuple(PROPOSAL["properties"]) == PROPOSED + OPTIONAL
    assert tuple(PROPOSAL["required"]) == PROPOSED


def test_the_published_schema_accepts_a_proposal_that_the_gateway_accepts() -> None:
    import jsonschema_rs

    from gateway.agreements.schemas import PROPOSAL
    from tests.agreements.test_terms import FULL, SIGNED_MESSAGES, TERMS

    proposal = {name: value for name, value in TERMS.items() if name in PROPOSAL["properties"]}
    validator = jsonschema_rs.validator_for(PROPOSAL)
    validator.validate(proposal)
    validator.validate({name: value for name, value in FULL.items() if name in PROPOSAL["properties"]})
    validator.validate(proposal | {"signed_messages": SIGNED_MESSAGES})
    assert not validator.is_valid(proposal | {"signed_messages": {"profile": "another", "actions": ["read"]}})


async def test_an_agreement_is_negotiated_read_and_exported_over_http(site: Site) -> None:
    world = site.world
    drafted = (await site.ask(world.airline, "POST", "/agreements", content=world.proposal())).json()
    path = f"/agreements/{drafted['id']}"
    other = world.proposal(title="航班数据")
    replaces = {"replaces": drafted["terms_sha256"]}
    revised = await site.ask(world.bank, "POST", f"{path}/revisions", content=other, params=replaces)
    assert revised.status_code == 201
    first, second = (await site.ask(world.airline, "GET", f"{path}/revisions")).json()["items"]
    assert (first["terms_sha256"], second["terms_sha256"]) == (drafted["terms_sha256"], revised.json()["terms_sha256"])
    assert second["redline"] == ['~ /title: "Flights of 2013" → "航班数据"']
    for lang, said in (("zh-CN", "数据提供方"), ("en", "Owner of the data")):
        page = await site.ask(world.bank, "GET", f"{path}/readable", params={"lang": lang})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.headers["content-security-policy"] == "default-src 'none'"
        assert said in page.text
    page = await site.ask(world.bank, "GET", f"{path}/readable", params={"lang": "en", "form": "markdown"})
    assert page.text.startswith("# 航班数据\n")
    assert (await site.ask(world.bank, "GET", f"{path}/readable", params={"lang": "fr"})).status_code == 400
    policy = await site.ask(world.bank, "GET", f"{path}/odrl")
    assert (policy.headers["content-type"], policy.json()["@type"]) == ("application/ld+json", "Offer")
    linked = {"content-type": "application/ld+json"}
    again = await site.ask(world.bank, "POST", "/agreements", content=policy.content, headers=linked)
    assert again.status_code == 201
    one, two = (json.loads(text["terms"]) for text in (revised.json(), again.json()))
    assert {**one, "agreement": ""} == {**two, "agreement": ""}
    assert one["agreement"] != two["agreement"]
    kinds = (await site.ask(world.bank, "GET", "/agreements/templates")).json()["items"]
    assert {kind["name"] for kind in kinds} == {"information_sharing", "customer_referral", "joint_marketing"}
    for hidden in ("revisions", "readable", "odrl"):
        assert (await site.ask(world.stranger, "GET", f"{path}/{hidden}")).status_code == 404

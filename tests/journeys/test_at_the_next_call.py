"""What is revoked on one process counts at the very next call on every process: at the seam and outside it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.agreements import HoldSubject
from gateway.app import Gateway
from gateway.identity.jws import thumbprint
from gateway.web import web
from tests.access.world import ENGINES, Deal, Shared, reasons, records, second_process, shared_on
from tests.alliance import Alliance, Member, public

ENDS = ("token", "key", "client", "member", "agreement")
TIMES = 12


@dataclass
class Twice:
    """Two processes over one database; `here` and `there` are the hotel as it calls the first and the second."""

    shared: Shared
    other: Gateway
    here: Member
    there: Member

    async def end(self, what: str, deal: Deal, token: str) -> None:
        """End something by the first process."""
        shared, gateway, hotel = self.shared, self.shared.gateway, self.here
        if what == "token":
            await hotel.revoke(token)
        elif what == "key":
            await gateway.clients.retire_key(hotel.client, thumbprint(public(hotel.client_key)), operator="test")
        elif what == "client":
            await gateway.clients.revoke(hotel.client, operator="test")
        elif what == "member":
            await gateway.members.suspend(hotel.id, case="c", operator="test")
        else:
            subject = await shared.subject(shared.bank, await shared.bank.token())
            await gateway.life.terminate(subject, deal.agreement)


@pytest.fixture(params=ENGINES)
async def twice(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Twice]:
    async with (
        shared_on(request, tmp_path, request.param) as shared,
        second_process(shared) as other,
        _http(other) as http,
    ):
        elsewhere = Alliance(other, http, shared.alliance.id, shared.alliance.members)
        there = replace(shared.hotel, alliance=elsewhere, nonces={})
        yield Twice(shared, other, shared.hotel, there)


@asynccontextmanager
async def _http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=gateway.settings.base_url) as http:
        yield http


def _refused(what: str, *, at_the_seam: bool) -> tuple[int, str]:
    """Status and code of a call after something ended."""
    if what in ("token", "key", "client"):
        return 401, "invalid_token"
    if what == "member":
        return 403, "MEMBER_SUSPENDED"
    assert at_the_seam
    return 403, "AGREEMENT_NOT_IN_FORCE"


@pytest.mark.parametrize("what", ENDS)
async def test_what_ends_on_one_process_ends_on_the_other(twice: Twice, what: str) -> None:
    deal = await twice.shared.market()
    token = await twice.here.token(
        twice.here.under(deal.agreement, deal.dataset), {"type": "alliance_member", "actions": ["audit"]}
    )
    for side in (twice.here, twice.there):
        for _ in range(2):
            assert len(records(await side.get(deal.path, token))) == 3
            assert (await side.get("/v1/members", token)).status_code == 200
    await twice.end(what, deal, token)
    for side in (twice.there, twice.here):
        read = await side.get(deal.path, token)
        assert (read.status_code, read.json()["code"]) == _refused(what, at_the_seam=True)
        if what == "agreement":
            continue
        for path in ("/v1/members", "/v1/agreements", f"/v1/logs/{side.id}/checkpoint"):
            answer = await side.get(path, token)
            assert (answer.status_code, answer.json()["code"]) == _refused(what, at_the_seam=False), path
    refusals = [entry for entry in await twice.shared.accesses() if entry["effect"] == "deny"]
    assert len(refusals) == 2, "each refused read is on record in the owner's log"
    assert len({entry["node"] for entry in refusals}) == 2


@pytest.mark.parametrize("direction", ["here", "there"])
async def test_a_token_revoked_on_one_process_is_refused_by_the_other_every_time(twice: Twice, direction: str) -> None:
    deal = await twice.shared.market()
    revoking, calling = (twice.here, twice.there) if direction == "here" else (twice.there, twice.here)
    spared = await twice.here.token(twice.here.under(deal.agreement, deal.dataset))
    for _ in range(TIMES):
        token = await twice.here.token(twice.here.under(deal.agreement, deal.dataset))
        assert (await calling.get(deal.path, token)).status_code == 200
        await revoking.revoke(token)
        assert (await calling.get(deal.path, token)).status_code == 401
        assert (await calling.get("/v1/members", token)).status_code == 401
        assert (await calling.get(deal.path, spared)).status_code == 200, "another token of the client goes on"


async def test_a_revocation_is_an_entry_of_the_operator_and_of_the_owner(twice: Twice) -> None:
    shared = twice.shared
    deal = await shared.market()
    token = await shared.token(deal)
    name = (await shared.subject(shared.hotel, token)).token
    narrowed = [await shared.gateway.ledger.narrowing(log) for log in (shared.bank.id, shared.hotel.id)]
    for _ in range(3):
        await twice.there.revoke(token)
    for log in (shared.alliance.id, shared.bank.id):
        [entry] = [entry for entry in await shared.entries(log) if entry.get("act") == "token_revoked"]
        assert entry["kind"] == "admin"
        assert entry["actor"]["token"] == name
        assert (entry["actor"]["member"], entry["actor"]["client"]) == (shared.hotel.id, shared.hotel.client)
    assert not [entry for entry in await shared.entries(shared.hotel.id) if entry.get("act") == "token_revoked"]
    after = [await shared.gateway.ledger.narrowing(log) for log in (shared.bank.id, shared.hotel.id)]
    assert [now - then for now, then in zip(after, narrowed, strict=True)] == [1, 0], "nobody else is narrowed"


async def test_a_token_for_the_member_alone_narrows_nobody(twice: Twice) -> None:
    shared = twice.shared
    token = await shared.hotel.token()
    before = await shared.gateway.ledger.narrowing(shared.bank.id)
    await shared.hotel.revoke(token)
    assert (await twice.there.get("/v1/members", token)).status_code == 401
    assert await shared.gateway.ledger.narrowing(shared.bank.id) == before


async def test_a_suspended_owner_still_withdraws_for_a_person(twice: Twice) -> None:
    shared = twice.shared
    deal = await shared.personal([1, 2])
    one, two = await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002")
    held = await shared.bank.token()
    await shared.gateway.members.suspend(shared.bank.id, case="c", operator="test")
    there = replace(shared.bank, alliance=twice.there.alliance, nonces={})
    for path in ("/v1/datasets", "/v1/members", f"/v1/consents/{one}"):
        refused = await there.get(path, held)
        assert (refused.status_code, reasons(refused.json())) == (403, [("MEMBER_SUSPENDED", "9.2.3")])
    answer = await there.post(f"/v1/consents/{one}/withdrawal", held)
    assert answer.status_code == 200, answer.text
    fresh = await there.token({"type": "alliance_member", "actions": ["upload", "withdraw"]})
    answer = await there.post(f"/v1/datasets/{deal.dataset}/withdrawals", fresh, {"subject": "C00002"})
    assert answer.json()["withdrawn"] == [two]
    assert (await there.post("/v1/datasets", fresh, {"name": "x", "schema": {}})).status_code == 403
    refused = await there.ask_token({"type": "alliance_member", "actions": ["upload"]})
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    granted = [entry for entry in await shared.entries(shared.alliance.id) if entry.get("act") == "token_granted"]
    assert (granted[-1]["actions"], granted[-1]["agreements"]) == (["withdraw"], [])
    codes = [entry["code"] for entry in await shared.entries(shared.alliance.id) if entry["kind"] == "token_refused"]
    assert codes == ["MEMBER_SUSPENDED"]


async def test_introspection_follows_at_once(twice: Twice) -> None:
    shared = twice.shared
    deal = await shared.market()
    token = await shared.token(deal)
    edge = shared.stranger
    resource = f"{shared.alliance.base}/v1"
    await shared.alliance.by_two("name_resource_server", client=edge.client, resource=resource)
    there = replace(edge, alliance=twice.there.alliance, nonces={})

    async def told(member: Member) -> dict[str, Any]:
        answer = await member.ask("/introspect", token=token)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    for member in (edge, there, shared.hotel):
        assert (await told(member))["authorization_details"] == [shared.hotel.under(deal.agreement, deal.dataset)]
    assert await told(shared.bank) == {"active": False}, "the owner of the data is no server of the resource"
    hold = secrets.token_hex(4)
    await shared.gateway.members.suspend(shared.bank.id, case=hold, operator="test")
    assert await told(there) == {"active": False}, "nothing of the token is good for anything while the owner is out"
    await shared.alliance.readmit(shared.bank.id, case=hold)
    assert (await told(there))["active"] is True
    await shared.hotel.revoke(token)
    assert await told(there) == await told(edge) == {"active": False}
    [entry] = [one for one in await shared.entries(shared.alliance.id) if one.get("act") == "resource_server_named"]
    assert (entry["client"], entry["resource"]) == (edge.client, resource)


async def test_a_hold_placed_on_one_process_freezes_the_next_call_on_the_other_every_time(twice: Twice) -> None:
    shared = twice.shared
    deal = await shared.market()
    token = await shared.token(deal)
    gateway, alliance = shared.gateway, shared.alliance
    for number in range(TIMES):
        assert (await twice.there.get(deal.path, token)).status_code == 200
        case = f"case-{number}"
        hold = await gateway.holds.place(alliance.id, HoldSubject.AGREEMENT, deal.agreement, case=case, operator="test")
        frozen = await twice.there.get(deal.path, token)
        assert (frozen.status_code, frozen.json()["case"]) == (423, case)
        await alliance.lift(hold)

"""Secrecy outlives the agreement: no new access, but duties and breach detection stay."""

from __future__ import annotations

from tests.access.world import Shared
from tests.clauses.test_9_1 import leak, read
from tests.company_signatures import sign_certificate

DAY_S = 24 * 3600


async def test_8_3_an_expired_agreement_and_a_proven_leak_open_a_breach_normally(shared: Shared) -> None:
    deal = await shared.market()
    shared.clock.pass_seconds(366 * DAY_S)
    assert await shared.gateway.agreements.in_force(deal.agreement, shared.clock.ms // 1000) is None
    reported = await leak(shared, deal)
    assert (reported.status_code, reported.json()["clause"], reported.json()["state"]) == (201, "9.1.2", "reported")
    assert reported.json()["holds"][0]["state"] == "active"
    case = reported.json()["id"]
    await shared.alliance.by_two(
        "decide_case", case=case, state="reported", step="confirm", resolution="r-2", why="Proven."
    )
    assert await shared.gateway.casework.cases.confirmed_against(shared.hotel.id, since_ms=0) == 1


async def test_8_3_after_the_end_what_was_received_is_destroyed_under_a_signed_certificate(shared: Shared) -> None:
    deal = await shared.market()
    assert (await read(shared, deal)).status_code == 200
    ended = await shared.bank.post(f"/v1/agreements/{deal.agreement}/termination", await shared.bank.token())
    assert ended.status_code == 200, ended.text
    await shared.gateway.duties.settling.run()
    path = f"/v1/duties/returns/{deal.agreement}"
    duties = (await shared.hotel.get("/v1/duties", await shared.hotel.token())).json()["items"]
    assert [(one["kind"], one["member"], one["state"]) for one in duties] == [("return", shared.hotel.id, "open")]
    text = await shared.hotel.get(path, await shared.hotel.token(), outcome="destroyed")
    forged = sign_certificate(text.content, shared.bank.signing_key)
    assert (await shared.hotel.post(path, await shared.hotel.token(), {"jws": forged})).status_code == 400
    jws = sign_certificate(text.content, shared.hotel.signing_key)
    certified = await shared.hotel.post(path, await shared.hotel.token(), {"jws": jws})
    assert (certified.status_code, certified.json()["state"]) == (200, "certified"), certified.text
    assert (await shared.stranger.get(path, await shared.stranger.token())).status_code == 404


async def test_8_3_a_suspended_member_certifies_too_and_without_a_certificate_there_is_a_candidate(
    shared: Shared,
) -> None:
    deal = await shared.market()
    assert (await read(shared, deal)).status_code == 200
    await shared.bank.post(f"/v1/agreements/{deal.agreement}/termination", await shared.bank.token())
    await shared.gateway.duties.settling.run()
    shared.clock.pass_seconds(31 * DAY_S)
    assert (await shared.gateway.duties.settling.run()).candidates == 1
    assert (await shared.gateway.duties.settling.run()).candidates == 0
    await shared.gateway.members.suspend(shared.hotel.id, case="c-9", operator="test")
    token = await shared.hotel.token({"type": "alliance_member", "actions": ["withdraw"]})
    path = f"/v1/duties/returns/{deal.agreement}"
    text = await shared.hotel.get(path, token, outcome="returned")
    jws = sign_certificate(text.content, shared.hotel.signing_key)
    certified = await shared.hotel.post(path, token, {"jws": jws})
    assert (certified.status_code, certified.json()["outcome"]) == (200, "returned"), certified.text
    assert certified.json()["case"]

"""Disputes: negotiate, then the forum; what is not disputed goes on."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.access.export_permits import Extract
from gateway.business_days import end_of_business_day
from gateway.cases.verification import CLAIM, EXTRACT, TERMS, verify_case
from gateway.errors import Refused
from gateway.ledger.verify import verify
from tests.access.world import PLACES, Deal, Shared
from tests.alliance import Member
from tests.confiding import done, opt_in

DISPUTE = {"forum": "arbitration", "body": "CIETAC", "negotiation_days": 3}
DAY_S = 24 * 3600
PRICE_LIST = bytes(3 << 20) + b"x"
PRICE_LIST_SHA256 = hashlib.sha256(PRICE_LIST).hexdigest()
"""What a party keeps as evidence, a scan of some megabytes."""


async def two_items(shared: Shared) -> tuple[Deal, Deal]:
    """X and Y under one agreement of bank and hotel; each is due every day."""
    x, y = await shared.places(), await shared.places()
    first = datetime.fromtimestamp(shared.clock.ms / 1000, UTC) + timedelta(days=1)
    cadence = {
        "every": "day",
        "on": 0,
        "by": "12:00",
        "time_zone": "UTC",
        "calendar": "CN",
        "grace_days": 0,
        "first": first.date().isoformat(),
    }
    datasets = [
        {
            "dataset": one,
            "fields": ["code", "city"],
            "purposes": ["market_analysis"],
            "methods": ["api"],
            "cadence": cadence,
        }
        for one in (x, y)
    ]
    agreement = await shared.bank.agree(shared.hotel, x, ["code"], datasets=datasets, dispute=DISPUTE)
    for party in (shared.bank, shared.hotel):
        done(await opt_in(party, agreement, y))
    return Deal(agreement, x), Deal(agreement, y)


async def dispute(shared: Shared, deal: Deal, by: Member | None = None) -> dict[str, Any]:
    """A dispute about one item, opened by the hotel if nobody else."""
    who = by or shared.hotel
    answer = await who.post(
        "/v1/cases",
        await who.token(),
        {
            "kind": "dispute",
            "agreement": deal.agreement,
            "subject": {"kind": "term", "id": deal.dataset},
            "claim": "The prices are those of last year.",
            "evidence": [{"name": "price list", "sha256": PRICE_LIST_SHA256}],
        },
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def read(shared: Shared, deal: Deal) -> Any:
    return await shared.hotel.get(deal.path, await shared.token(deal), purpose="market_analysis")


async def test_7_2_1_a_dispute_freezes_only_its_subject_and_starts_the_time_to_negotiate(shared: Shared) -> None:
    x, y = await two_items(shared)
    now = shared.clock.ms // 1000
    case = await dispute(shared, x)
    assert (case["state"], case["clause"], case["subject"]["kind"]) == ("negotiating", "7.2.1", "term")
    until = datetime.fromisoformat(case["clock_until"]).timestamp()
    assert until == end_of_business_day(now, DISPUTE["negotiation_days"])  # type: ignore[arg-type]
    assert (await read(shared, x)).status_code == 423
    assert (await read(shared, y)).status_code == 200
    for member in (shared.bank, shared.hotel):
        shown = await member.get(f"/v1/cases/{case['id']}", await member.token())
        assert shown.json()["holds"][0]["state"] == "active"
    assert (await shared.stranger.get(f"/v1/cases/{case['id']}", await shared.stranger.token())).status_code == 404
    early = await shared.hotel.post(f"/v1/cases/{case['id']}/escalation", await shared.hotel.token())
    assert (early.status_code, early.json()["code"]) == (409, "negotiation_runs")


async def test_7_2_3_a_new_agreement_of_the_two_does_not_give_back_what_they_dispute(shared: Shared) -> None:
    x, y = await two_items(shared)
    case = await dispute(shared, x)
    for item, status in ((x, 423), (y, 200)):
        anew = Deal(await shared.bank.agree(shared.hotel, item.dataset, ["code", "city"]), item.dataset)
        answer = await read(shared, anew)
        assert answer.status_code == status, answer.text
        if status == 423:
            assert answer.json()["case"] == case["id"]
            assert (await shared.last_access())["reasons"][0]["code"] == "DISPUTED_ITEM"


async def test_7_2_2_the_bundle_of_an_escalated_dispute_verifies_offline(shared: Shared, tmp_path: Path) -> None:
    x, _ = await two_items(shared)
    case = await dispute(shared, x)
    shared.clock.pass_seconds(30 * DAY_S)
    escalated = await shared.bank.post(f"/v1/cases/{case['id']}/escalation", await shared.bank.token())
    assert (escalated.json()["state"], escalated.json()["forum"]["body"]) == ("escalated", "CIETAC")
    permit = await shared.alliance.gateway.approvals.propose(
        shared.alliance.id, "export_log", {"log": shared.bank.id}, operator="test"
    )
    await shared.gateway.approvals.approve(permit, operator="second test")
    out = tmp_path / "bundle"
    wanted = Extract(await shared.gateway.case_bundles.log_of(case["id"]))
    with pytest.raises(Refused):
        await shared.gateway.case_bundles.write(case["id"], wanted, out, permit="0" * 32, operator="test")
    assert not out.exists()
    await shared.gateway.case_bundles.write(case["id"], wanted, out, permit=permit, operator="test")
    vkey = next(one["vkey"] for one in await shared.gateway.verifier_keys() if one["log"] == shared.bank.id)
    assert verify_case(out, vkey).outcome == "ok"
    assert verify(out / EXTRACT, vkey).exit_code == 0
    for name in (CLAIM, TERMS, "manifest.json"):
        before = (out / name).read_bytes()
        (out / name).write_bytes(before[:-2] + b"x" + before[-1:])
        assert verify_case(out, vkey).outcome != "ok", name
        (out / name).write_bytes(before)
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["evidence"] == [{"name": "price list", "sha256": PRICE_LIST_SHA256}]
    (out / PRICE_LIST_SHA256).write_bytes(PRICE_LIST)
    assert verify_case(out, vkey).outcome == "ok"
    (out / PRICE_LIST_SHA256).write_bytes(PRICE_LIST[:-1] + b"X")
    assert verify_case(out, vkey).outcome == "tampered"
    (out / PRICE_LIST_SHA256).unlink()
    (out / EXTRACT).unlink()
    assert verify_case(out, vkey).outcome == "incomplete"


async def test_7_2_2_what_a_dispute_is_about_is_not_deleted_before_it_is_decided(shared: Shared) -> None:
    x, y = await two_items(shared)
    case = await dispute(shared, x)
    for deal in (x, y):
        assert (await shared.bank.upload(deal.dataset, PLACES, mode="replace")).status_code == 201
    assert await shared.gateway.uploads.sweep() == len(PLACES)
    assert await shared.gateway.uploads.sweep() == 0
    await shared.alliance.by_two(
        "decide_case", case=case["id"], state="negotiating", step="resolve", resolution="r-1", why="Agreed."
    )
    assert await shared.gateway.uploads.sweep() == len(PLACES)


async def test_7_2_2_a_dispute_ends_the_deletion_that_it_comes_into(shared: Shared) -> None:
    x, _ = await two_items(shared)
    assert (await shared.bank.upload(x.dataset, PLACES, mode="replace")).status_code == 201

    async def disputed() -> None:
        await dispute(shared, x)

    assert await shared.gateway.uploads.sweep(prepare=disputed) == 0


async def test_7_2_1_a_dispute_that_is_sent_again_is_one_case_and_one_hold(shared: Shared) -> None:
    x, y = await two_items(shared)
    token = await shared.hotel.token()

    async def sent(deal: Deal) -> httpx.Response:
        about = {"kind": "term", "id": deal.dataset}
        body = {"kind": "dispute", "agreement": deal.agreement, "subject": about, "claim": "Wrong codes."}
        return await shared.hotel.call(
            "POST", "/v1/cases", token, json=body, headers={"Idempotency-Key": "lost-answer"}
        )

    first, again = await sent(x), await sent(x)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len((await shared.hotel.get("/v1/cases", token)).json()["items"]) == 1
    other = await sent(y)
    assert (other.status_code, other.json()["field"]) == (409, "Idempotency-Key")


async def test_7_2_3_x_is_423_with_the_case_y_is_200_and_a_late_upload_of_y_is_recorded(shared: Shared) -> None:
    x, y = await two_items(shared)
    case = await dispute(shared, x)
    held = await read(shared, x)
    assert (held.status_code, held.json()["case"]) == (423, case["id"])
    assert (await read(shared, y)).status_code == 200
    shared.clock.pass_seconds(3 * DAY_S)
    done = await shared.gateway.duties.settling.run()
    assert done.candidates >= 2
    listed = await shared.hotel.get("/v1/cases", await shared.hotel.token(), limit="100")
    late = {one["subject"]["id"] for one in listed.json()["items"] if one["kind"] == "breach"}
    assert late == {f"{x.agreement}:{x.dataset}", f"{y.agreement}:{y.dataset}"}
    assert (await read(shared, y)).status_code == 200
    await shared.alliance.by_two(
        "decide_case", case=case["id"], state="negotiating", step="resolve", resolution="r-1", why="Agreed."
    )
    assert (await read(shared, x)).status_code == 200

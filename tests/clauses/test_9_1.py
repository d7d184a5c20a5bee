"""Breaches: what was not done, what was leaked, what was false."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.cases.breaches import Breaches
from tests.access.world import Deal, Shared

DAY_S = 24 * 3600
PROOF = [{"name": "the file as found", "sha256": "ef" * 32}]


async def daily(shared: Shared) -> Deal:
    """An agreement under which the bank uploads every day, with ten days to cure."""
    first = datetime.fromtimestamp(shared.clock.ms / 1000, UTC) + timedelta(days=1)
    dataset = await shared.places()
    term = {
        "dataset": dataset,
        "fields": ["code"],
        "purposes": ["market_analysis"],
        "methods": ["api"],
        "cadence": {
            "every": "day",
            "on": 0,
            "by": "12:00",
            "time_zone": "Asia/Shanghai",
            "calendar": "CN",
            "grace_days": 0,
            "first": first.date().isoformat(),
        },
    }
    remedies = {"cure_days": 10}
    return Deal(await shared.bank.agree(shared.hotel, dataset, [], datasets=[term], remedies=remedies), dataset)


async def leak(shared: Shared, deal: Deal) -> Any:
    body = {"kind": "leak", "agreement": deal.agreement, "claim": "Our places are for sale.", "evidence": PROOF}
    return await shared.bank.post("/v1/cases", await shared.bank.token(), body)


async def read(shared: Shared, deal: Deal, token: str = "") -> Any:
    return await shared.hotel.get(deal.path, token or await shared.token(deal), purpose="market_analysis")


async def test_9_1_1_late_is_a_candidate_and_force_majeure_closes_it_without_a_strike(shared: Shared) -> None:
    deal = await daily(shared)
    shared.clock.pass_seconds(2 * DAY_S)
    assert (await shared.gateway.duties.settling.run()).candidates >= 1
    listed = await shared.bank.get("/v1/cases", await shared.bank.token())
    candidate, *others = listed.json()["items"]
    assert (candidate["state"], candidate["clause"], candidate["respondent"]) == ("candidate", "9.1.1", shared.bank.id)
    assert candidate["subject"]["id"] == f"{deal.agreement}:{deal.dataset}"
    decisions, cases = shared.gateway.casework.decisions, shared.gateway.casework.cases
    assert await cases.confirmed_against(shared.bank.id, since_ms=0) == 0
    for one in (candidate, *others):
        await decisions.decide_alone(one["id"], "excuse", why="A typhoon closed the port.", operator="secretary")
    assert await cases.confirmed_against(shared.bank.id, since_ms=0) == 0
    shared.clock.pass_seconds(DAY_S)
    await shared.gateway.duties.settling.run()
    after = await shared.bank.get("/v1/cases", await shared.bank.token(), limit="100")
    (late,) = [one for one in after.json()["items"] if one["state"] == "candidate"]
    await decisions.decide_alone(late["id"], "confirm", why="Nothing excuses it.", operator="secretary")
    assert await cases.confirmed_against(shared.bank.id, since_ms=0) == 1


async def test_9_1_2_a_leak_holds_the_leakers_access_at_once_and_the_hold_lifts_itself(shared: Shared) -> None:
    deal, other = await shared.market(), await shared.market()
    token = await shared.token(deal)
    assert (await read(shared, deal, token)).status_code == 200
    reported = await leak(shared, deal)
    assert (reported.status_code, reported.json()["clause"]) == (201, "9.1.2"), reported.text
    for one in (deal, other):
        held = await read(shared, one)
        assert (held.status_code, held.json()["case"]) == (423, reported.json()["id"])
    shared.clock.pass_seconds(72 * 3600 - 1)
    assert (await read(shared, deal)).status_code == 423
    shared.clock.pass_seconds(1)
    assert (await read(shared, deal)).status_code == 200
    shown = await shared.hotel.get(f"/v1/cases/{reported.json()['id']}", await shared.hotel.token())
    assert (shown.json()["state"], shown.json()["holds"][0]["state"]) == ("reported", "ended")


async def test_9_1_2_two_operators_extend_the_hold_by_a_resolution(shared: Shared) -> None:
    deal = await shared.market()
    case = (await leak(shared, deal)).json()
    holds = shared.gateway.holds
    until = shared.clock.ms // 1000 + 10 * DAY_S
    _, arguments = await holds.extending(case["holds"][0]["id"], until_s=until, resolution="r-9")
    await shared.alliance.by_two("extend_hold", **arguments)
    shared.clock.pass_seconds(9 * DAY_S)
    assert (await read(shared, deal)).status_code == 423
    shared.clock.pass_seconds(DAY_S)
    assert (await read(shared, deal)).status_code == 200


async def test_9_1_3_a_false_statement_opens_one_investigation_with_the_signed_text(shared: Shared) -> None:
    opened = []
    for _ in range(2):
        async with shared.gateway.ledger.changing(shared.alliance.id) as change:
            opened.append(
                await Breaches().open(
                    change,
                    alliance=shared.alliance.id,
                    member=shared.hotel.id,
                    kind="9.1.3",
                    subject="a-1",
                    evidence={"attestation": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
                    actor={"operator": "test"},
                )
            )
    assert opened[0] == opened[1]
    shown = await shared.hotel.get(f"/v1/cases/{opened[0]}", await shared.hotel.token())
    assert (shown.json()["kind"], shown.json()["state"]) == ("investigation", "investigating")
    assert shown.json()["evidence"][0]["content"] == "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
    assert (await shared.bank.get(f"/v1/cases/{opened[0]}", await shared.bank.token())).status_code == 404


async def test_9_1_3_operators_investigate_and_two_decide(shared: Shared) -> None:
    case = await shared.gateway.casework.incidents.investigate(
        shared.alliance.id, shared.hotel.id, claim="Invented customers.", evidence=[], operator="test"
    )
    await shared.alliance.by_two(
        "decide_case", case=case, state="investigating", step="confirm", resolution="r-3", why="As was voted."
    )
    assert await shared.gateway.casework.cases.confirmed_against(shared.hotel.id, since_ms=0) == 1

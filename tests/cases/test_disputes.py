from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from gateway.agreements import HoldSubject
from gateway.cases.case import told
from gateway.cases.disputes import MANIFEST
from gateway.errors import Conflicting, Invalid, NotFound, Refused
from tests.agreements.world import FLIGHTS
from tests.cases.world import DISPUTE, PROOF, CaseWorld


async def test_a_dispute_freezes_its_term_alone_and_a_resolution_of_two_lifts_it(world: CaseWorld) -> None:
    world.own(world.airline, "planes", ("year",))
    both = [
        {"dataset": name, "fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"]}
        for name in (FLIGHTS, "planes")
    ]
    agreement, other = await world.agreed(datasets=both), await world.agreed()
    before = await world.narrowing(world.airline)
    case = await world.dispute(agreement)
    assert await world.narrowing(world.airline) == before + 1
    assert await world.holding(agreement) == [case]
    assert await world.holding(agreement, "planes") == []
    assert await world.holding(other) == []
    assert (await world.seen(case, world.airline)).holds[0]["state"] == "active"
    assert await world.decide(case, "resolve") == "resolved"
    assert await world.holding(agreement) == []
    shown = (await world.seen(case)).describe()
    assert (shown["state"], shown["holds"][0]["state"]) == ("resolved", "lifted")
    acts = [act for act in await world.acts_on(world.airline) if act.startswith(("case", "hold"))]
    assert acts == ["case_opened", "hold_placed", "hold_lifted", "case_decided"]
    with pytest.raises(Conflicting, match="step_not_possible"):
        await world.decide(case, "resolve")


async def test_what_an_amendment_goes_on_with_stays_frozen_until_two_operators_lift_it(world: CaseWorld) -> None:
    world.own(world.airline, "planes", ("year",))
    both = [
        {"dataset": name, "fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"]}
        for name in (FLIGHTS, "planes")
    ]
    agreement = await world.agreed(datasets=both)
    case = await world.dispute(agreement)
    amended = await world.agreed(datasets=both, amends=agreement)
    assert (await world.holding(amended), await world.holding(amended, "planes")) == ([case], [])
    again = await world.agreed(datasets=both, amends=amended)
    assert (await world.holding(again), await world.holding(again, "planes")) == ([case], [])
    assert await world.decide(case, "resolve") == "resolved"
    assert await world.holding(again) == []
    assert await world.holding(await world.agreed(amends=again)) == []


async def test_a_term_that_one_amendment_leaves_out_and_the_next_takes_in_again_is_frozen_still(
    world: CaseWorld,
) -> None:
    world.own(world.airline, "planes", ("year",))
    usual = {"fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"]}
    both = [{"dataset": name, **usual} for name in (FLIGHTS, "planes")]
    agreement = await world.agreed(datasets=both)
    case = await world.dispute(agreement)
    without = await world.agreed(datasets=both[1:], amends=agreement)
    assert await world.holding(without, "planes") == []
    again = await world.agreed(datasets=both, amends=without)
    assert (await world.holding(again), await world.holding(again, "planes")) == ([case], [])
    assert await world.decide(case, "resolve") == "resolved"
    assert await world.holding(again) == []


async def test_a_hold_of_the_whole_agreement_goes_over_to_its_amendment_with_its_end(world: CaseWorld) -> None:
    agreement, until = await world.agreed(), world.clock() + 60_000
    for case, end in (("r-1", until), ("r-2", world.clock() + 1000)):
        held = (world.alliance, HoldSubject.AGREEMENT, agreement)
        await world.holds.place(*held, case=case, operator="root", until_ms=end)
    world.clock.forward(30)
    amended = await world.drafted(amends=agreement, dispute=DISPUTE)
    await world.sign(world.airline, amended)
    await world.hold(HoldSubject.AGREEMENT, amended, case="r-3")
    await world.sign(world.bank, amended)
    assert sorted(await world.holding(amended)) == ["r-1", "r-3"]
    world.clock.forward(30)
    assert await world.holding(amended) == ["r-3"]


async def test_a_case_that_holds_the_amendment_already_is_no_hindrance_to_sign_it(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    amended = await world.drafted(amends=agreement)
    for held in (agreement, amended):
        await world.hold(HoldSubject.AGREEMENT, held, case="r-1")
    for company in (world.airline, world.bank):
        await world.sign(company, amended)
    assert await world.holding(amended) == ["r-1"]


def _part(dataset: str, *fields: str, **more: object) -> dict[str, object]:
    return {"dataset": dataset, "fields": fields, "purposes": ["market_analysis"], "methods": ["api"], **more}


async def test_a_new_agreement_of_the_same_two_freezes_what_they_dispute_and_nothing_else(world: CaseWorld) -> None:
    world.own(world.airline, "planes", ("year",))
    both = [_part(FLIGHTS, "year"), _part("planes", "year")]
    agreement, until = await world.agreed(), world.clock() + 60_000
    case = await world.dispute(agreement)
    held = (world.alliance, HoldSubject.TERM, f"{agreement}:{FLIGHTS}")
    await world.holds.place(*held, case="r-1", operator="root", until_ms=until)
    anew = await world.agreed(datasets=both)
    assert sorted(await world.holding(anew)) == sorted([case, "r-1"])
    assert await world.holding(anew, "planes") == []
    with_another = await world.drafted(recipient=world.hotel.id)
    for company in (world.airline, world.hotel):
        await world.sign(company, with_another)
    assert await world.holding(with_another, by=world.hotel) == []
    await world.life.terminate(world.bank.subject, agreement)
    again = await world.agreed(datasets=both)
    assert sorted(await world.holding(again)) == sorted([case, "r-1"])
    world.clock.forward(60)
    assert await world.holding(again) == [case]
    assert await world.decide(case, "resolve") == "resolved"
    assert (await world.holding(anew), await world.holding(again)) == ([], [])
    assert await world.holding(await world.agreed()) == []


async def test_a_hold_of_a_whole_agreement_freezes_its_datasets_under_a_new_one(world: CaseWorld) -> None:
    world.own(world.airline, "planes", ("year",))
    agreement = await world.agreed()
    await world.hold(HoldSubject.AGREEMENT, agreement, case="r-1")
    amended = await world.agreed(amends=agreement)
    anew = await world.agreed(datasets=[_part(FLIGHTS, "year"), _part("planes", "year")])
    assert (await world.holding(amended), await world.holding(anew)) == (["r-1"], ["r-1"])
    assert await world.holding(anew, "planes") == []


async def test_an_amendment_of_another_agreement_takes_in_nothing_that_is_disputed_but_goes_on_with_what_it_had(
    sqlite_world: CaseWorld,
) -> None:
    world = sqlite_world
    world.own(world.airline, "planes", ("year",))
    agreement = await world.agreed()
    planes = await world.agreed(datasets=[_part("planes", "year")])
    beside = await world.agreed(datasets=[_part(FLIGHTS, "year", "carrier")])
    case = await world.dispute(agreement)
    taken_in = await world.agreed(datasets=[_part(FLIGHTS, "year"), _part("planes", "year")], amends=planes)
    assert (await world.holding(taken_in), await world.holding(taken_in, "planes")) == ([case], [])
    fewer = await world.agreed(
        datasets=[_part(FLIGHTS, "carrier", rows=[{"field": "carrier", "in": ["AA"]}])], amends=beside
    )
    assert await world.holding(fewer) == []
    wider = await world.agreed(datasets=[_part(FLIGHTS, "carrier")], amends=fewer)
    assert await world.holding(wider) == [case]


async def test_strangers_see_no_case_and_open_none(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    case = await world.dispute(agreement)
    for company in (world.hotel, world.stranger):
        with pytest.raises(NotFound):
            await world.seen(case, company)
        with pytest.raises(NotFound):
            await world.dispute(agreement, company)
        with pytest.raises(NotFound):
            await world.disputes.escalate(company.acting("sign"), case)
        with pytest.raises(NotFound):
            await world.disputes.add(company.acting("sign"), case, PROOF)
    assert [one.id for one in await world.cases.of_member(world.bank.id, after="", limit=9)] == [case]
    assert await world.cases.of_member(world.hotel.id, after="", limit=9) == []


async def test_whoever_adds_all_the_evidence_it_may_leaves_the_other_side_its_own_share(
    sqlite_world: CaseWorld,
) -> None:
    world = sqlite_world
    case = await world.dispute(await world.agreed(), evidence=PROOF * 32)
    for number in range(2):
        with pytest.raises(Invalid, match="too_much_evidence"):
            await world.disputes.add(replace(world.bank.acting("sign"), client=f"client-{number}"), case, PROOF)
    await world.disputes.add(world.airline.acting("sign"), case, PROOF * 32)
    with pytest.raises(Invalid, match="too_much_evidence"):
        await world.disputes.add(world.airline.acting("sign"), case, PROOF)
    world.clock.now_ms += 14 * 24 * 3600 * 1000
    await world.disputes.escalate(world.bank.acting("sign"), case)
    assert len((await world.seen(case)).evidence) == 65


async def test_what_was_proposed_while_a_dispute_was_negotiated_resolves_none_that_went_to_its_forum(
    sqlite_world: CaseWorld,
) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    case = await world.dispute(agreement)
    alliance, arguments = await world.decisions.deciding(case, "resolve", resolution="r-1", why="They will agree.")
    proposal = await world.approvals.propose(alliance, "decide_case", arguments, operator="one")
    world.clock.now_ms += 6 * 24 * 3600 * 1000
    await world.approvals.decline(proposal, operator="two")
    proposal = await world.approvals.propose(alliance, "decide_case", arguments, operator="one")
    world.clock.now_ms += 6 * 24 * 3600 * 1000
    await world.disputes.escalate(world.bank.acting("sign"), case)
    with pytest.raises(Conflicting, match="case_moved"):
        await world.approvals.approve(proposal, operator="two")
    assert await world.holding(agreement) == [case]
    assert await world.decide(case, "resolve") == "resolved"


async def test_a_party_freezes_no_memo_of_another_agreement(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement, other = await world.agreed(), await world.agreed()
    memo = await world.memo(other)
    bank = world.bank.acting("sign")
    for of in (memo, "0" * 32):
        with pytest.raises(Invalid, match="subject_not_disputable"):
            await world.disputes.open(bank, agreement, HoldSubject.MEMO, of, claim="Never said.")
    await world.disputes.open(bank, other, HoldSubject.MEMO, memo, claim="Never said.")


async def test_a_party_freezes_no_referral_that_it_does_not_see_under_this_agreement(
    sqlite_world: CaseWorld,
) -> None:
    world = sqlite_world
    agreement, other = await world.agreed(), await world.agreed()
    bank, mine, theirs = world.bank.acting("sign"), "1" * 32, "2" * 32
    world.referrals = {(mine, world.bank.id, agreement), (theirs, world.airline.id, agreement)}
    for under, of in ((other, mine), (agreement, theirs), (agreement, "3" * 32)):
        with pytest.raises(Invalid, match="subject_not_disputable"):
            await world.disputes.open(bank, under, HoldSubject.REFERRAL, of, claim="Not as agreed.")
    await world.disputes.open(bank, agreement, HoldSubject.REFERRAL, mine, claim="Not as agreed.")


async def test_a_party_freezes_nothing_that_others_have_agreed_on(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    bank = world.bank.acting("sign")
    for about, of in (
        (HoldSubject.DATASET, FLIGHTS),
        (HoldSubject.AGREEMENT, await world.agreed()),
        (HoldSubject.TERM, "planes"),
        (HoldSubject.RECIPIENT_OF_OWNER, f"{world.hotel.id}:{world.airline.id}"),
        (HoldSubject.REFERRAL, "no id"),
    ):
        with pytest.raises(Invalid, match="subject_not_disputable"):
            await world.disputes.open(bank, agreement, about, of, claim="Mine.")
    owner = world.airline.acting("sign")
    await world.disputes.open(owner, agreement, HoldSubject.DATASET, FLIGHTS, claim="My own data.")
    await world.disputes.open(bank, agreement, HoldSubject.LEDGER_LINE, "line-7", claim="Counted twice.")
    with pytest.raises(Refused, match="ACTION_NOT_GRANTED"):
        await world.disputes.open(world.bank.acting("draft"), agreement, HoldSubject.TERM, FLIGHTS, claim="x")
    with pytest.raises(Conflicting, match="agreement_not_signed"):
        await world.dispute(await world.drafted())


async def test_a_dispute_is_escalated_after_the_agreed_business_days_to_the_agreed_forum(world: CaseWorld) -> None:
    agreement = await world.agreed()
    case = await world.dispute(agreement, evidence=PROOF)
    bank = world.bank.acting("sign")
    with pytest.raises(Conflicting, match="negotiation_runs"):
        await world.disputes.escalate(bank, case)
    clock_until = (await world.seen(case)).case.clock_until
    assert clock_until is not None
    assert told(clock_until) == "2026-01-08T16:00:00Z"  # Sunday 4 January is worked, and 8 January ends in Shanghai
    world.clock.now_ms = clock_until
    await world.disputes.escalate(bank, case)
    view = await world.seen(case)
    assert (view.case.state, view.case.forum) == ("escalated", {"forum": "arbitration", "body": "CIETAC"})
    manifest = view.evidence[-1]
    assert manifest.name == MANIFEST
    assert manifest.content is not None
    assert hashlib.sha256(manifest.content.encode()).hexdigest() == manifest.sha256
    assert json.loads(manifest.content)["evidence"] == [{"name": PROOF[0].name, "sha256": PROOF[0].sha256}]
    entry = next(one for one in await world.entries() if one.get("act") == "case_escalated")
    assert entry["manifest_sha256"] == manifest.sha256
    assert await world.holding(agreement) == [case]
    with pytest.raises(Conflicting, match="step_not_possible"):
        await world.disputes.escalate(bank, case)


async def test_without_an_agreed_forum_a_dispute_is_open_and_goes_nowhere_by_itself(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.signed()
    case = await world.dispute(agreement)
    assert (await world.seen(case)).case.clock_until is None
    with pytest.raises(Conflicting, match="no_forum_agreed"):
        await world.disputes.escalate(world.bank.acting("sign"), case)


async def test_evidence_is_added_by_either_party_and_never_removed(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    case = await world.dispute(await world.agreed(), evidence=PROOF)
    for company in (world.bank, world.airline):
        await world.disputes.add(company.acting("sign"), case, PROOF)
    assert [one.added_by["member"] for one in (await world.seen(case)).evidence] == [
        world.bank.id,
        world.bank.id,
        world.airline.id,
    ]
    with pytest.raises(Invalid, match="too_much_evidence"):
        await world.disputes.add(world.bank.acting("sign"), case, PROOF * 31)

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.cases.breaches import Breaches
from gateway.errors import Conflicting, Invalid, NotFound
from tests.cases.world import PROOF, CaseWorld

HOUR_S = 3600


async def test_a_reported_leak_stops_the_leaker_and_ends_by_itself_without_an_act(world: CaseWorld) -> None:
    agreement, other = await world.agreed(), await world.agreed()
    case = await world.leak(agreement)
    assert await world.holding(agreement) == await world.holding(other) == [case]
    assert await world.holding(agreement, by=world.hotel) == [case], "who reads for the leaker is stopped with it"
    assert await world.holding("another's agreement", by=world.hotel) == []
    before = len(await world.entries())
    world.clock.forward(72 * HOUR_S - 1)
    assert await world.holding(agreement) == [case]
    world.clock.forward(2)  # the second in which it ends is still held
    assert await world.holding(agreement) == []
    assert len(await world.entries()) == before
    assert (await world.seen(case)).holds[0]["state"] == "ended"
    assert (await world.seen(case)).case.state == "reported"


async def test_two_operators_extend_the_hold_by_a_resolution_before_it_ends(world: CaseWorld) -> None:
    agreement = await world.agreed()
    case = await world.leak(agreement)
    hold = str((await world.seen(case)).holds[0]["id"])
    until = world.clock.now_s + 30 * 24 * HOUR_S

    async def extend(until_s: int) -> None:
        alliance, arguments = await world.holds.extending(hold, until_s=until_s, resolution="r-7")
        await world.by_two(alliance, "extend_hold", **arguments)

    narrowing = await world.narrowing(world.airline)
    await extend(until)
    assert await world.narrowing(world.airline) == narrowing + 1
    world.clock.forward(73 * HOUR_S)
    assert await world.holding(agreement) == [case]
    with pytest.raises(Invalid, match="until_not_later"):
        await extend(until)
    world.clock.forward(30 * 24 * HOUR_S)
    assert await world.holding(agreement) == []
    with pytest.raises(Conflicting, match="hold_ended"):
        await extend(until + 90 * 24 * HOUR_S)


async def test_a_second_report_does_not_extend_what_takes_a_resolution(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    case = await world.leak(agreement)
    with pytest.raises(Conflicting, match="leak_reported"):
        await world.leak(agreement)
    await world.decide(case, "dismiss")
    assert await world.holding(agreement) == []
    again = await world.leak(agreement)
    assert await world.holding(agreement) == [again]


async def test_a_report_that_is_sent_again_gets_the_case_that_the_first_opened(world: CaseWorld) -> None:
    """A client whose connection broke cannot know whether it was heard."""
    agreement = await world.agreed()
    same: Any = {"key": "k", "fingerprint": "the same"}
    at_once = await asyncio.gather(*(world.leak(agreement, **same) for _ in range(3)))
    again = await world.leak(agreement, **same)
    assert {*at_once} == {again}
    assert await world.holding(agreement) == [again]
    with pytest.raises(Conflicting, match="idempotency_key_reused"):
        await world.leak(agreement, key="k", fingerprint="another")
    with pytest.raises(Conflicting, match="leak_reported"):
        await world.leak(agreement)


async def test_a_leak_is_reported_by_the_owner_with_evidence_about_a_recipient(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    with pytest.raises(Invalid, match="evidence_missing"):
        await world.leak(agreement, evidence=[])
    with pytest.raises(Invalid, match="not_your_data"):
        await world.leak(agreement, world.bank)
    with pytest.raises(NotFound):
        await world.leak(agreement, world.hotel)
    with pytest.raises(Invalid, match="respondent_no_recipient"):
        await world.leak(agreement, respondent=world.hotel.id)
    with pytest.raises(Conflicting, match="agreement_not_signed"):
        await world.leak(await world.drafted())
    assert [act for act in await world.acts_on(world.airline) if act == "case_opened"] == []


async def test_confirmed_breaches_are_counted_and_what_was_cured_still_counts(world: CaseWorld) -> None:
    agreement = await world.agreed()
    case = await world.leak(agreement)
    assert await world.cases.confirmed_against(world.bank.id, since_ms=0) == 0
    assert await world.decide(case, "confirm") == "confirmed"
    assert await world.cases.confirmed_against(world.bank.id, since_ms=0) == 1
    assert await world.decisions.decide_alone(case, "cure", why="Taken down.", operator="ops") == "cured"
    assert await world.cases.confirmed_against(world.bank.id, since_ms=0) == 1
    assert await world.cases.confirmed_against(world.bank.id, since_ms=world.clock() + 1) == 0
    assert await world.cases.confirmed_against(world.airline.id, since_ms=0) == 0


async def test_who_would_decide_alone_what_takes_two_is_refused(sqlite_world: CaseWorld) -> None:
    world = sqlite_world
    case = await world.leak(await world.agreed())
    with pytest.raises(Conflicting, match="takes_two"):
        await world.decisions.decide_alone(case, "dismiss", why="No.", operator="ops")
    with pytest.raises(Conflicting, match="step_not_possible"):
        await world.decisions.decide_alone(case, "excuse", why="No.", operator="ops")
    with pytest.raises(NotFound):
        await world.by_two(
            world.other_alliance,
            "decide_case",
            case=case,
            state="reported",
            step="dismiss",
            resolution="r",
            why="No.",
        )


async def test_operators_investigate_and_a_false_statement_is_investigated_once(world: CaseWorld) -> None:
    opened = await world.incidents.investigate(
        world.alliance, world.bank.id, claim="False invoices.", evidence=PROOF, operator="ops"
    )
    assert (await world.seen(opened)).case.state == "investigating"
    with pytest.raises(NotFound):
        await world.incidents.investigate(world.alliance, world.stranger.id, claim="x", evidence=[], operator="ops")
    made = []
    for _ in range(2):
        async with world.ledger.changing(world.alliance) as change:
            made.append(
                await Breaches().open(
                    change,
                    alliance=world.alliance,
                    member=world.bank.id,
                    kind="9.1.3",
                    subject="s-1",
                    evidence={"attestation": "eyJ.signed.text", "grounds": "The licence had ended."},
                    actor={"operator": "ops"},
                )
            )
    assert made[0] == made[1]
    view = await world.seen(made[0])
    assert (view.case.kind, view.case.state) == ("investigation", "investigating")
    assert [(one.name, one.content) for one in view.evidence] == [
        ("attestation", "eyJ.signed.text"),
        ("grounds", "The licence had ended."),
    ]

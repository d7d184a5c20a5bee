from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway import business_days
from gateway.business_days import CalendarUnknown
from gateway.duties import schedule
from gateway.duties.run import DutyRun
from gateway.errors import Conflicting
from gateway.ledger.errors import LedgerRolledBack
from tests.agreements.world import FLIGHTS, START_S
from tests.duties.world import DAILY, DutyWorld
from tests.rolled_back import RolledBackAtFirst


async def test_a_missed_date_is_one_candidate_however_often_and_by_how_many_it_is_run(world: DutyWorld) -> None:
    agreement = await world.due()
    world.at("2026-01-05T10:00:00Z")
    assert (await world.duty_run.run()).candidates == 0
    world.at("2026-01-05T10:00:01Z")
    runs = [world.another_run().run() for _ in range(4)]
    assert sum(done.candidates for done in await asyncio.gather(*runs)) == 1
    assert (await world.duty_run.run()).candidates == 0
    (candidate,) = await world.candidates()
    assert candidate["respondent"] == world.airline.id
    assert candidate["claimant"] == world.bank.id
    assert (candidate["period"], candidate["provisional"]) == ("2026-01-05", False)
    assert candidate["subject"] == f"{agreement}:{FLIGHTS}"
    assert await world.holding(agreement) == []


async def test_an_upload_on_time_fulfils_a_date_and_only_one(world: DutyWorld) -> None:
    await world.due()
    world.at("2026-01-05T09:00:00Z")
    await world.published()
    world.at("2026-01-06T09:59:59Z")
    assert (await world.duty_run.run()).candidates == 0
    world.at("2026-01-06T10:00:01Z")
    assert (await world.duty_run.run()).candidates == 1
    assert [one["period"] for one in await world.candidates()] == ["2026-01-06"]


async def test_what_was_published_before_the_date_before_fulfils_nothing(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    world.at("2026-01-05T12:00:00Z")
    await world.due()
    world.at("2026-01-06T09:00:00Z")
    await world.published()
    world.at("2026-01-07T10:00:01Z")
    await world.duty_run.run()
    assert [one["period"] for one in await world.candidates()] == ["2026-01-07"]


async def test_an_upload_within_the_grace_is_late_and_no_breach(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    await world.due(every="week", on=1, grace_days=1)
    world.at("2026-01-06T09:00:00Z")
    assert (await world.agenda.of(world.airline.id, START_S, world.clock.now_s))[0]["state"] == "late"
    await world.published()
    world.at("2026-01-07T00:00:00Z")
    assert await world.duty_run.run() is not None
    assert await world.candidates() == []
    world.at("2026-01-13T10:00:01Z")
    await world.duty_run.run()
    assert [one["period"] for one in await world.candidates()] == ["2026-01-12"]


async def test_nobody_escapes_what_came_due_by_leaving_afterwards_nor_by_leaving_and_returning(
    sqlite_world: DutyWorld,
) -> None:
    world = sqlite_world
    agreement = await world.due(every="week", on=1, grace_days=1)
    world.at("2026-01-05T10:00:01Z")
    await world.leaves(world.airline)
    world.at("2026-01-05T10:00:02Z")
    await world.takes_part(world.airline, agreement, no=2)
    world.at("2026-01-07T00:00:00Z")
    assert (await world.duty_run.run()).candidates == 1


async def test_an_agreement_whose_log_cannot_be_written_keeps_no_other_one_waiting(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    for _ in range(3):
        await world.due()
    world.at("2026-01-05T10:00:01Z")
    broken: Any = RolledBackAtFirst(world.ledger)
    with pytest.raises(LedgerRolledBack):
        await DutyRun(world.database, broken, world.agreements, world.returns, world.clock).run()
    assert len(await world.candidates()) == 2
    assert (await world.duty_run.run()).candidates == 1


async def test_an_agreement_until_the_end_of_the_calendar_stops_nobody_elses_duties(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    for _ in range(2):
        await world.due(every="business_day", first="9999-12-29", grace_days=30, end="9999-12-31T23:59:59Z")
        await world.due()
    world.at("2026-01-05T10:00:01Z")
    assert (await world.duty_run.run()).candidates == 2
    for company in (world.airline, world.bank):
        assert await world.agenda.of(company.id, 253_402_128_000, 253_402_300_799) == []


async def test_a_dataset_whose_calendar_is_known_no_more_stops_neither_another_one_nor_a_return(
    sqlite_world: DutyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    unknown = {"cadence": DAILY | {"calendar": "SE"}}
    usual = {"fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"], "cadence": DAILY}
    for name in ("planes", FLIGHTS):
        await world.catalogued(name)
    both = [{"dataset": "planes", **usual, **unknown}, {"dataset": FLIGHTS, **usual}]
    agreement = await world.signed(datasets=both)
    for company in (world.airline, world.bank):
        await world.takes_part(company, agreement)
    await world.received(agreement, world.bank)
    monkeypatch.setattr(business_days, "has_calendar", lambda country: country != "SE")
    business_days.business_days.cache_clear()
    world.at("2026-01-05T10:00:01Z")
    with pytest.raises(CalendarUnknown, match="calendar_unknown"):
        await world.duty_run.run()
    assert [one["subject"] for one in await world.candidates()] == [f"{agreement}:{FLIGHTS}"]
    await world.life.terminate(world.bank.subject, agreement)
    with pytest.raises(CalendarUnknown, match="calendar_unknown"):
        await world.duty_run.run()
    (owed,) = [
        one for one in await world.agenda.of(world.bank.id, START_S, START_S + 90 * 86_400) if one["kind"] == "return"
    ]
    assert (owed["member"], owed["state"]) == (world.bank.id, "open")
    monkeypatch.undo()
    world.at("2026-01-05T10:00:02Z")
    await world.duty_run.run()


async def test_a_term_that_began_long_before_it_was_signed_is_reckoned_from_the_signature(
    sqlite_world: DutyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reckoned = sqlite_world, 0

    def counted(*given: Any) -> Any:
        nonlocal reckoned
        reckoned += 1
        return due(*given)

    due = schedule._due
    monkeypatch.setattr(schedule, "_due", counted)
    await world.due(first="1970-01-05", start="1970-01-01T00:00:00Z")
    world.at("2026-01-02T10:00:01Z")
    await world.duty_run.run()
    assert 0 < reckoned < 100


async def test_an_upload_before_an_amendment_fulfils_its_first_date_unless_it_fulfilled_one_before(
    world: DutyWorld,
) -> None:
    monthly: dict[str, Any] = {"every": "month", "on": 31, "first": "2026-01-31"}
    agreement = await world.due(**monthly)
    world.at("2026-01-20T00:00:00Z")
    await world.published()
    for day in (21, 22):
        world.at(f"2026-01-{day}T00:00:00Z")
        agreement = await world.due(amends=agreement, **monthly)
    shown = await world.agenda.of(world.bank.id, world.clock.now_s, world.clock.now_s + 12 * 86_400)
    assert [(one["period"], one["state"]) for one in shown] == [("2026-01-31", "delivered")]
    world.at("2026-02-03T00:00:00Z")
    assert (await world.duty_run.run()).candidates == 0
    await world.due(amends=agreement, **monthly | {"first": "2026-02-28", "on": 28})
    world.at("2026-03-03T00:00:00Z")
    assert (await world.duty_run.run()).candidates == 1
    assert [one["period"] for one in await world.candidates()] == ["2026-02-28"]


async def test_an_upload_in_the_grace_of_a_date_before_an_amendment_fulfils_that_date_alone(
    sqlite_world: DutyWorld,
) -> None:
    world = sqlite_world
    weekly: dict[str, Any] = {"every": "week", "on": 1, "grace_days": 2}
    agreement = await world.due(**weekly)
    world.at("2026-01-06T00:00:00Z")
    await world.published()
    amended = await world.due(amends=agreement, **weekly | {"first": "2026-01-12"})
    world.at("2026-01-12T00:00:00Z")
    until = world.clock.now_s + 86_400
    shown = await world.agenda.of(world.bank.id, START_S, until)
    assert [(one["period"], one["state"]) for one in shown] == [("2026-01-05", "delivered"), ("2026-01-12", "due")]
    await world.published()
    assert [one["state"] for one in await world.agenda.of(world.bank.id, START_S, until)] == ["delivered"] * 2
    world.at("2026-01-15T00:00:00Z")
    assert (await world.duty_run.run()).candidates == 0
    world.at("2026-01-22T00:00:00Z")
    assert (await world.duty_run.run()).candidates == 1
    assert [one["subject"] for one in await world.candidates()] == [f"{amended}:{FLIGHTS}"]


async def test_who_has_opted_out_owes_nothing(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    agreement = await world.due()
    world.at("2026-01-05T12:00:00Z")
    await world.leaves(world.airline)
    world.at("2026-01-07T10:00:01Z")
    await world.duty_run.run()
    assert [one["period"] for one in await world.candidates()] == ["2026-01-05"]
    await world.takes_part(world.airline, agreement, no=2)
    await world.leaves(world.bank)
    world.at("2026-01-08T10:00:01Z")
    await world.duty_run.run()
    assert len(await world.candidates()) == 1
    states = {one["period"]: one["state"] for one in await world.agenda.of(world.bank.id, START_S, world.clock.now_s)}
    assert states == {
        "2026-01-05": "missed",
        "2026-01-06": "waived",
        "2026-01-07": "waived",
        "2026-01-08": "waived",
    }


async def test_a_dispute_on_one_dataset_stops_neither_its_duties_nor_those_of_another(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    agreement = await world.due(FLIGHTS, "planes")
    await world.dispute(agreement, dataset="planes")
    world.at("2026-01-05T10:00:01Z")
    await world.duty_run.run()
    assert sorted(one["subject"] for one in await world.candidates()) == [
        f"{agreement}:{FLIGHTS}",
        f"{agreement}:planes",
    ]


async def test_nothing_is_due_before_both_have_signed_or_after_the_end(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    world.at("2026-01-07T12:00:00Z")
    agreement = await world.due()
    world.at("2026-01-08T12:00:00Z")
    await world.life.terminate(world.bank.acting("sign"), agreement)
    world.at("2026-02-01T00:00:00Z")
    await world.duty_run.run()
    assert [one["period"] for one in await world.candidates()] == ["2026-01-08"]


async def test_an_agreement_without_a_cadence_owes_nothing(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    await world.agreed()
    world.at("2026-06-01T00:00:00Z")
    assert (await world.duty_run.run()).dates == 0


async def test_force_majeure_closes_a_candidate_without_a_strike(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    await world.due()
    world.at("2026-01-06T10:00:01Z")
    await world.duty_run.run()
    first, second = [one["case"] for one in await world.candidates()]
    why = "An earthquake cut the lines."
    assert await world.decisions.decide_alone(first, "excuse", why=why, operator="secretary") == "excused"
    assert await world.cases.confirmed_against(world.airline.id, since_ms=0) == 0
    assert await world.decisions.decide_alone(second, "confirm", why="No reason given.", operator="s") == "confirmed"
    assert await world.cases.confirmed_against(world.airline.id, since_ms=0) == 1
    world.clock.forward(10 * 24 * 3600)
    with pytest.raises(Conflicting, match="cure_period_over"):
        await world.decisions.decide_alone(second, "cure", why="Late.", operator="s")
    assert (await world.seen(second)).case.decision == "No reason given."

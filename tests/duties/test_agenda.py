from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import business_days
from gateway.duties.icalendar import icalendar
from gateway.errors import Invalid
from tests.agreements.world import FLIGHTS
from tests.duties.world import DutyWorld

DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def _calendars_are_read_anew() -> Iterator[None]:
    yield
    business_days.business_days.cache_clear()


async def test_both_sides_see_what_is_due_and_nobody_else_does(world: DutyWorld) -> None:
    agreement = await world.due(every="business_day", grace_days=1)
    first, last = world.clock.now_s, world.clock.now_s + 8 * DAY_S
    for company, role in ((world.airline, "owner"), (world.bank, "recipient")):
        found = await world.agenda.of(company.id, first, last)
        assert [(one["period"], one["role"], one["state"]) for one in found] == [
            ("2026-01-05", role, "due"),
            ("2026-01-06", role, "due"),
            ("2026-01-07", role, "due"),
            ("2026-01-08", role, "due"),
        ]
        assert {one["agreement"] for one in found} == {agreement}
        assert found[0]["due_at"] == "2026-01-05T10:00:00Z"
        assert found[0]["grace_until"] == "2026-01-06T10:00:00Z"
    for company in (world.hotel, world.stranger):
        assert await world.agenda.of(company.id, first, last) == []


async def test_an_upload_is_shown_as_delivery_of_one_date_and_is_settled_as_that(world: DutyWorld) -> None:
    """While one date is in its grace and the next one is open, an upload belongs to the former alone."""
    await world.due(every="business_day", grace_days=2)
    world.at("2026-01-06T02:00:00Z")
    await world.published()
    first, last = world.clock.now_s - DAY_S, world.clock.now_s + 2 * DAY_S
    shown = [(one["period"], one["state"]) for one in await world.agenda.of(world.airline.id, first, last)]
    assert shown == [("2026-01-05", "delivered"), ("2026-01-06", "due"), ("2026-01-07", "due")]
    ahead = await world.agenda.of(world.bank.id, world.clock.now_s, last)
    assert [one["state"] for one in ahead] == ["due", "due"]
    await world.published()
    assert [one["state"] for one in await world.agenda.of(world.airline.id, first, last)][:2] == ["delivered"] * 2
    world.at("2026-01-09T10:00:01Z")
    await world.duty_run.run()
    settled = [one["state"] for one in await world.agenda.of(world.airline.id, first, last)]
    assert settled == ["delivered", "delivered", "missed"]


async def test_a_calendar_that_is_known_no_more_takes_no_other_duty_with_it(
    sqlite_world: DutyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    agreement = await world.due("planes", every="week", on=1, calendar="SE")
    await world.due()
    world.at("2026-01-06T12:00:00Z")
    await world.duty_run.run()
    monkeypatch.setattr(business_days, "has_calendar", lambda country: country != "SE")
    business_days.business_days.cache_clear()
    first, last = world.clock.now_s - 2 * DAY_S, world.clock.now_s + DAY_S
    for company in (world.airline, world.bank):
        duties = await world.agenda.of(company.id, first, last)
        planes = [one for one in duties if one["dataset"] == "planes"]
        assert [(one["period"], one["state"]) for one in planes] == [("", "calendar_unknown"), ("2026-01-05", "missed")]
        assert planes[0] | {"role": "", "agreement": agreement} == {
            "kind": "delivery",
            "role": "",
            "agreement": agreement,
            "dataset": "planes",
            "period": "",
            "due_at": "2026-01-04T12:00:00Z",
            "grace_until": None,
            "provisional": True,
            "state": "calendar_unknown",
            "case": None,
        }
        flights = [(one["period"], one["state"]) for one in duties if one["dataset"] == FLIGHTS]
        assert flights == [("2026-01-05", "missed"), ("2026-01-06", "missed"), ("2026-01-07", "due")]
    text = icalendar(duties, world.clock()).decode()
    assert "SUMMARY:Upload of planes (calendar_unknown)" in text
    assert text.count("BEGIN:VEVENT") == 5
    ended = await world.agenda.of(world.bank.id, world.clock.now_s + 360 * DAY_S, world.clock.now_s + 370 * DAY_S)
    assert [one for one in ended if one["dataset"] == "planes"] == []


async def test_a_range_has_an_end(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    with pytest.raises(Invalid, match="invalid_range"):
        await world.agenda.of(world.bank.id, 0, 401 * DAY_S)
    with pytest.raises(Invalid, match="invalid_range"):
        await world.agenda.of(world.bank.id, 2, 1)


async def test_the_calendar_file_has_one_event_each_and_says_what_is_provisional(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    await world.due(FLIGHTS, every="month", on=31, first="2026-12-31")
    await world.due("planes", every="week", on=5, first="2026-12-25", grace_days=5)
    world.at("2026-12-20T00:00:00Z")
    duties = await world.agenda.of(world.airline.id, world.clock.now_s, world.clock.now_s + 14 * DAY_S)
    assert [(one["period"], one["provisional"]) for one in duties] == [("2026-12-25", True), ("2026-12-31", False)]
    text = icalendar(duties, world.clock()).decode()
    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert text.count("BEGIN:VEVENT") == text.count("END:VEVENT") == 2
    assert "DTSTART:20261231T100000Z" in text
    assert text.count("STATUS:TENTATIVE") == 1
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "SUMMARY:Upload of planes (due)" in text.replace("\r\n ", "")

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.agreements import Cadence
from gateway.business_days import business_days, end_of_business_day, time_zone
from gateway.duties.schedule import Due, schedule
from gateway.errors import Invalid

FOR_EVER = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())


def cadence(every: str = "day", on: int = 0, **over: Any) -> Cadence:
    usual: dict[str, Any] = {
        "by": "18:00",
        "time_zone": "Asia/Shanghai",
        "calendar": "CN",
        "grace_days": 0,
        "first": date(2026, 1, 5),
    }
    return Cadence(every=every, on=on, **usual | over)


def first(count: int, of: Cadence) -> list[Due]:
    return list(islice(schedule(of, until=FOR_EVER), count))


def local(due: Due, zone: str = "Asia/Shanghai") -> str:
    return datetime.fromtimestamp(due.at, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def test_golden_week_moves_a_weekly_day_and_two_that_meet_are_one() -> None:
    """1 to 7 October 2026 are holidays; the Thursdays of 1 October falls to the 8th, which is due itself."""
    dues = first(3, cadence("week", 4, first=date(2026, 9, 24)))
    assert [local(one) for one in dues] == ["2026-09-24 18:00", "2026-10-08 18:00", "2026-10-15 18:00"]
    assert [one.period for one in dues] == ["2026-09-24", "2026-10-01", "2026-10-15"]


def test_a_weekend_that_is_worked_by_decree_is_a_business_day() -> None:
    """14 and 28 February 2026 are Saturdays, worked in exchange for the days after the Spring Festival."""
    days = business_days("CN")
    assert days.is_business_day(date(2026, 2, 14))
    assert days.is_business_day(date(2026, 2, 28))
    assert not days.is_business_day(date(2026, 2, 23))
    assert not days.is_business_day(date(2026, 2, 21))
    dues = first(4, cadence("business_day", first=date(2026, 2, 13)))
    assert [one.period for one in dues] == ["2026-02-13", "2026-02-14", "2026-02-24", "2026-02-25"]


def test_a_year_that_the_state_has_not_published_is_provisional_and_says_so() -> None:
    by_day = {one.period: one for one in first(400, cadence("business_day", first=date(2026, 1, 5)))}
    assert not by_day["2026-06-01"].provisional
    assert by_day["2027-06-01"].provisional
    assert not business_days("CN").is_published(2027)
    assert business_days("DE").is_published(2027)


def test_every_calendar_day_needs_no_calendar_and_is_never_provisional() -> None:
    assert not first(400, cadence("day"))[-1].provisional


def test_grace_that_reaches_into_an_unpublished_year_is_provisional() -> None:
    assert first(1, cadence("month", 31, first=date(2026, 12, 31), grace_days=2))[0].provisional


def test_grace_counts_business_days() -> None:
    due = first(1, cadence("week", 5, first=date(2026, 9, 18), grace_days=1))[0]
    ends = datetime.fromtimestamp(due.grace_until, ZoneInfo("Asia/Shanghai"))
    assert ends.strftime("%Y-%m-%d %H:%M") == "2026-09-20 18:00"  # a Sunday, worked by decree


def test_the_thirty_first_of_a_shorter_month_is_its_last_day_leap_years_included() -> None:
    dues = first(3, cadence("month", 31, calendar="DE", time_zone="Europe/Berlin", first=date(2028, 1, 31)))
    assert [one.period for one in dues] == ["2028-01-31", "2028-02-29", "2028-03-31"]


def test_a_monthly_day_before_the_first_date_is_not_due() -> None:
    assert first(1, cadence("month", 5, first=date(2026, 3, 6)))[0].period == "2026-04-05"


def test_the_hour_stays_while_the_clocks_change() -> None:
    berlin = cadence("day", by="18:00", time_zone="Europe/Berlin", calendar="DE", first=date(2026, 3, 28))
    one, other = first(2, berlin)
    assert [local(due, "Europe/Berlin")[-5:] for due in (one, other)] == ["18:00", "18:00"]
    assert other.at - one.at == 23 * 3600


def test_a_local_time_that_is_skipped_comes_when_the_clocks_have_jumped() -> None:
    berlin = cadence("day", by="02:30", time_zone="Europe/Berlin", calendar="DE", first=date(2026, 3, 29))
    assert local(first(1, berlin)[0], "Europe/Berlin") == "2026-03-29 03:30"


def test_a_local_time_that_comes_twice_counts_the_first_time() -> None:
    berlin = cadence("day", by="02:30", time_zone="Europe/Berlin", calendar="DE", first=date(2026, 10, 25))
    assert datetime.fromtimestamp(first(1, berlin)[0].at, UTC).hour == 0


@pytest.mark.parametrize(("calendar", "zone"), [("ZZ", "Asia/Shanghai"), ("CN", "Mars/Olympus"), ("CN", "../etc")])
def test_an_unknown_calendar_or_zone_is_refused_by_name(calendar: str, zone: str) -> None:
    with pytest.raises(Invalid, match="unknown"):
        first(1, cadence(calendar=calendar, time_zone=zone))


def test_a_clock_of_business_days_ends_with_the_day() -> None:
    """From Wednesday 30 September 2026, five business days pass over the holidays of October."""
    start = int(datetime(2026, 9, 30, 9, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())
    ends = datetime.fromtimestamp(end_of_business_day(start, 5), ZoneInfo("Asia/Shanghai"))
    assert ends.strftime("%Y-%m-%d %H:%M") == "2026-10-14 00:00"


cadences = st.builds(
    lambda every, on, **rest: cadence(every[0], min(on, every[1]) if every[1] else 0, **rest),
    every=st.sampled_from([("day", 0), ("business_day", 0), ("week", 7), ("month", 31)]),
    on=st.integers(1, 31),
    by=st.times().map(lambda found: found.strftime("%H:%M")),
    time_zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    calendar=st.sampled_from(["CN", "DE", "US", "AE"]),
    grace_days=st.integers(0, 10),
    first=st.dates(date(2015, 1, 1), date(2035, 1, 1)),
)


@settings(max_examples=60, deadline=None)
@given(cadences)
def test_due_instants_strictly_increase_and_fall_on_business_days(of: Cadence) -> None:
    dues = first(12, of)
    days = business_days(of.calendar)
    for one in dues:
        assert one.grace_until >= one.at
        day = datetime.fromtimestamp(one.at, time_zone(of.time_zone)).date()
        assert day >= of.first
        if of.every != "day":
            assert days.is_business_day(day)
    assert all(earlier.at < later.at for earlier, later in pairwise(dues))
    assert all(earlier.period < later.period for earlier, later in pairwise(dues))


@settings(max_examples=40, deadline=None)
@given(cadences, st.integers(0, 9), st.integers(1, 60))
def test_going_on_behind_a_period_gives_what_one_pass_gives(of: Cadence, place: int, days: int) -> None:
    dues = first(30, of)
    until = dues[place].at + int(timedelta(days=days).total_seconds())
    expected = [one for one in dues if one.period > dues[place].period and one.at <= until]
    assert list(schedule(of, after=dues[place].period, until=until))[: len(expected)] == expected

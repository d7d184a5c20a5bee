"""From an agreed cadence to the instants at which a dataset is due (clause 4.1.2).

A day is named in the cadence's calendar and time zone, and only the instant is compared. A weekly or monthly day that
is no business day moves to the next one; two that move to the same day are one. The 31st of a shorter month is its
last day. A local time that the clocks skip is reached when they have jumped; one that they repeat, the first time.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from gateway.agreements import Cadence
from gateway.business_days import BeyondCalendar, BusinessDays, business_days, time_zone

_ONE_DAY = timedelta(days=1)
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery that is due: `period` is the day as agreed, before it moved (ISO 8601).

    `at` and `grace_until` are epoch seconds, both included in what is on time. `provisional`: a year that they were
    reckoned with is not published yet.
    """

    period: str
    at: int
    grace_until: int
    provisional: bool


def schedule(cadence: Cadence, *, after: str = "", until: int) -> Iterator[Due]:
    """Every delivery due at or before `until` (epoch seconds) whose period is behind `after`, in order.

    `after` is the period of one of them, or '' to begin. Where the calendar ends, nothing is due any more.
    """
    with suppress(BeyondCalendar):
        yield from _reckoned(cadence, business_days(cadence.calendar), after, until)


def _reckoned(cadence: Cadence, days: BusinessDays, after: str, until: int) -> Iterator[Due]:
    moved_to: date | None = None
    begin = date.fromisoformat(after) if after else cadence.first
    for period in _periods(cadence, days, max(begin, cadence.first)):
        day = period if cadence.every == "day" else days.on_or_after(period)
        if day == moved_to:
            continue
        moved_to = day
        due = _due(cadence, days, period, day)
        if due.at > until:
            return
        if due.period > after:
            yield due


def _due(cadence: Cadence, days: BusinessDays, period: date, day: date) -> Due:
    last = days.after(day, cadence.grace_days)
    uncertain = cadence.every != "day" or cadence.grace_days
    years = range(period.year, last.year + 1)
    return Due(
        period=period.isoformat(),
        at=_instant(cadence, day),
        grace_until=_instant(cadence, last),
        provisional=bool(uncertain) and not all(map(days.is_published, years)),
    )


def _instant(cadence: Cadence, day: date) -> int:
    local = datetime.combine(day, time.fromisoformat(cadence.by), time_zone(cadence.time_zone))
    return int(local.timestamp())


def _periods(cadence: Cadence, days: BusinessDays, first: date) -> Iterator[date]:
    match cadence.every:
        case "day":
            yield from _each_day(first)
        case "business_day":
            yield from (day for day in _each_day(first) if days.is_business_day(day))
        case "week":
            yield from (day for day in _each_day(first) if day.isoweekday() == cadence.on)
        case _:
            yield from (day for day in _each_month(first, cadence.on) if day >= first)


def _each_day(first: date) -> Iterator[date]:
    day = first
    while day < date.max:
        yield day
        day += _ONE_DAY


def _each_month(first: date, on: int) -> Iterator[date]:
    year, month = first.year, first.month
    while year < date.max.year:
        yield date(year, month, min(on, calendar.monthrange(year, month)[1]))
        year, month = (year + 1, 1) if month == _DECEMBER else (year, month + 1)

"""Business days by country, from the `holidays` library, and whether their year is known yet.

Some states publish their holidays year by year, with weekends that are worked instead (China's State Council does, in
November). For a year that is not published the library only knows the fixed feasts: such a day is provisional, and
whoever reckons with it says so.
"""

from __future__ import annotations

import threading
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import Invalid

if TYPE_CHECKING:
    from holidays import HolidayBase

RULEBOOK_CALENDAR = "CN"
"""Whose business days count where an agreement names no calendar: those of the rulebook's state."""
RULEBOOK_ZONE = "Asia/Shanghai"
"""The time zone of those days."""
LONGEST_COUNT = 3660
_ONE_DAY = timedelta(days=1)
_LAST_YEAR = MAXYEAR - 1


class BeyondCalendar(Invalid):
    """A day behind the last one that can be reckoned with."""

    def __init__(self) -> None:
        super().__init__("date_out_of_range", "The calendar ends with the year 9999.")


class CalendarUnknown(Invalid):
    """A country or a time zone that the libraries at hand do not know: no day of it can be reckoned."""


def has_calendar(country: str) -> bool:
    """Whether the business days of a country are known, by its ISO 3166 alpha-2 code."""
    import holidays  # noqa: PLC0415 - takes long to import, and a server may never ask

    return country in holidays.list_supported_countries()


class BusinessDays:
    """One country's business days. Days are calendar dates, without a time zone."""

    def __init__(self, country: str) -> None:
        import holidays  # noqa: PLC0415 - as above

        if not has_calendar(country):
            raise CalendarUnknown(
                "calendar_unknown",
                "No calendar of this country is known.",
                field="calendar",
                remedy="Name an ISO 3166 country, as CN.",
            )
        self._known: HolidayBase = holidays.country_holidays(country)
        self._filling = threading.Lock()

    def is_business_day(self, day: date) -> bool:
        """Neither weekend nor holiday, or a weekend's day that is worked by decree."""
        with self._filling:
            return bool(self._known.is_working_day(day))

    def is_published(self, year: int) -> bool:
        """Whether the year's business days are settled: by a decree the library knows, or by a rule that needs none."""
        if not self._known.has_substituted_holidays:
            return self._known.start_year <= year <= self._known.end_year
        return year in self._known.special_public_holidays

    def on_or_after(self, day: date) -> date:
        """The day itself if it is a business day, else the next one."""
        while not self.is_business_day(day):
            day = _next(day)
        return day

    def after(self, day: date, count: int) -> date:
        """The business day that is the `count`-th after a day; the day itself for 0."""
        if not 0 <= count <= LONGEST_COUNT:
            raise Invalid("count_out_of_range", f"From 0 to {LONGEST_COUNT} business days can be counted.")
        for _ in range(count):
            day = self.on_or_after(_next(day))
        return day


@lru_cache(maxsize=64)
def business_days(country: str) -> BusinessDays:
    """The business days of a country by its ISO 3166 alpha-2 code; `CalendarUnknown` for one without."""
    return BusinessDays(country)


@lru_cache(maxsize=64)
def time_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; `CalendarUnknown` for one that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CalendarUnknown(
            "time_zone_unknown", "This time zone is not known.", field="time_zone", remedy="Write Asia/Shanghai."
        ) from None


def end_of_business_day(now_s: int, count: int) -> int:
    """Epoch seconds at which the `count`-th business day after an instant ends, by the rulebook's calendar."""
    zone = time_zone(RULEBOOK_ZONE)
    last = business_days(RULEBOOK_CALENDAR).after(datetime.fromtimestamp(now_s, zone).date(), count)
    return _midnight(_next(last), zone)


def after_business_hours(now_s: int, hours: int) -> int:
    """Epoch seconds at which so many hours of the rulebook's business days have passed; other days do not count."""
    zone, days = time_zone(RULEBOOK_ZONE), business_days(RULEBOOK_CALENDAR)
    left, day = hours * 3600, datetime.fromtimestamp(now_s, zone).date()
    while True:
        if days.is_business_day(day):
            start, end = max(now_s, _midnight(day, zone)), _midnight(_next(day), zone)
            if left <= end - start:
                return start + left
            left -= end - start
        day = _next(day)


def on_a_business_day(at_s: int) -> int:
    """The instant itself if its day is a business day of the rulebook's calendar, else the end of the next one."""
    zone, days = time_zone(RULEBOOK_ZONE), business_days(RULEBOOK_CALENDAR)
    day = datetime.fromtimestamp(at_s, zone).date()
    return at_s if days.is_business_day(day) else _midnight(_next(days.on_or_after(day)), zone)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, datetime.min.time(), zone).timestamp())


def _next(day: date) -> date:
    if day.year > _LAST_YEAR:
        raise BeyondCalendar
    return day + _ONE_DAY

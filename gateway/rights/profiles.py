"""Jurisdictions as data (`profiles.json`): by when a request is answered, by which article, and who hears complaints.

A clock runs from receipt to the end of its last day, by the profile's own time zone. `extended` is reckoned from
receipt too. Business days of a year whose holidays are not published yet are provisional. This is no legal advice.
"""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from gateway.business_days import business_days, time_zone
from gateway.clock import MILLISECONDS
from gateway.errors import Invalid

_MONTHS: Final = 12


class Due(NamedTuple):
    """The last instant, in milliseconds, and whether it was reckoned with a calendar that is not published."""

    at: int
    provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One jurisdiction. A span is `{"business_days": n}`, `{"days": n}` or `{"months": n}`.

    `objection_ends`: the purposes whose consents an upheld objection ends; None for all of them.
    """

    name: str
    time_zone: str
    calendar: str | None
    answer: Mapping[str, int]
    extended: Mapping[str, int] | None
    members: Mapping[str, int]
    law: Mapping[str, str]
    next_of_kin: tuple[str, ...]
    objection_ends: Sequence[str] | None
    remedies: Mapping[str, str]

    def due(self, since_ms: int, span: Mapping[str, int]) -> Due:
        """The end of the last day of a span that begins at an instant; the day of that instant is not counted."""
        zone = time_zone(self.time_zone)
        first = datetime.fromtimestamp(since_ms / MILLISECONDS, zone).date()
        last, provisional = self._last(first, span)
        end = datetime.combine(last + timedelta(days=1), datetime.min.time(), zone)
        return Due(int(end.timestamp()) * MILLISECONDS, provisional)

    def _last(self, first: date, span: Mapping[str, int]) -> tuple[date, bool]:
        if "business_days" in span:
            assert self.calendar is not None
            known = business_days(self.calendar)
            last = known.after(first, span["business_days"])
            return last, not all(known.is_published(year) for year in range(first.year, last.year + 1))
        if "months" in span:
            return _months_after(first, span["months"]), False
        return first + timedelta(days=span["days"]), False


def _months_after(day: date, count: int) -> date:
    """The day of the same number, so many months later; the month's last one where it has no such day."""
    years, month = divmod(day.month - 1 + count, _MONTHS)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile by its name."""
    known: dict[str, dict[str, Any]] = json.loads(
        files("gateway.rights").joinpath("profiles.json").read_text(encoding="utf-8")
    )
    return {name: Profile(name=name, **of | {"next_of_kin": tuple(of["next_of_kin"])}) for name, of in known.items()}


def profile_of(name: object) -> Profile:
    """A profile by its name, or `Invalid`."""
    if not isinstance(name, str) or name not in profiles():
        raise Invalid("unknown_profile", f"The profiles are {', '.join(profiles())}.", field="/profile")
    return profiles()[name]

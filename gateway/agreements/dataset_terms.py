"""One dataset's part of the terms (clause 4.1.2): what of it, for what, how, how much, and how often it is due.

`{"dataset","fields","purposes","methods"}` must be there. `"rows"`, `"volume"`, `"cadence"`, `"lawful_basis"` and
`"retention_days"` may be; what is not there is not agreed, and has no silent default.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a type
from typing import Any

from gateway.agreements.fields import (
    FIELD_NAME,
    IDENTIFIER,
    PURPOSE,
    choice,
    choices,
    country,
    date,
    distinct,
    items,
    matching,
    members,
    time_of_day,
    time_zone,
    unrepeated,
    value_to_match,
    whole,
)
from gateway.errors import Invalid

MOST_DATASETS = 100
MOST_FIELDS = 62
MOST_PURPOSES = 32
MOST_PREDICATES = 8
MOST_VALUES = 32
MOST_VOLUME = 10**12
LONGEST_WINDOW_S = 366 * 24 * 60 * 60
LONGEST_GRACE_DAYS = 366
LONGEST_RETENTION_DAYS = 36_600
METHODS = ("api", "file", "push", "overlap")
LAWFUL_BASES = ("consent", "contract", "legal_obligation", "public_information", "non_personal")
EVERY = ("day", "business_day", "week", "month")
REQUIRED = ("dataset", "fields", "purposes", "methods")
OPTIONAL = ("rows", "volume", "cadence", "lawful_basis", "retention_days")
CADENCE = ("every", "on", "by", "time_zone", "calendar", "grace_days", "first")
_ON = {"day": (0, 0), "business_day": (0, 0), "week": (1, 7), "month": (1, 31)}
PERIOD_DAYS = {"day": 1, "business_day": 1, "week": 7, "month": 28}
"""The shortest time from one due date to the next, in days."""


@dataclass(frozen=True, slots=True)
class RowPredicate:
    """Only rows whose field has one of these values; several predicates hold together."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """At most `records` records in each window of `per_seconds` seconds."""

    records: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class Cadence:
    """When the owner uploads: `every` day, business day, week or month, by a time of the day in a time zone.

    `on` is the weekday (1 Monday to 7 Sunday) or the day of the month (the last day of a shorter one); 0 where
    every day counts. `calendar` is the country whose business days count. `first` is the first due date; a date
    is missed when `grace_days` more days have passed.
    """

    every: str
    on: int
    by: str
    time_zone: str
    calendar: str
    grace_days: int
    first: Date


@dataclass(frozen=True, slots=True)
class DatasetTerm:
    """One dataset's part: exactly these fields, for exactly these purposes, by exactly these methods."""

    dataset: str
    fields: tuple[str, ...]
    purposes: tuple[str, ...]
    methods: tuple[str, ...]
    rows: tuple[RowPredicate, ...] = ()
    volume: Volume | None = None
    cadence: Cadence | None = None
    lawful_basis: str | None = None
    retention_days: int | None = None

    def covers(self, other: DatasetTerm) -> bool:
        """Whether each field and row of another part about the same dataset is in this one."""
        chosen = {one.field: set(one.values) for one in other.rows}
        rows = all(one.field in chosen and chosen[one.field] <= set(one.values) for one in self.rows)
        return rows and set(other.fields) <= set(self.fields)

    def grants(self, other: DatasetTerm) -> bool:
        """Whether it covers another part, for each of its purposes, by each of its methods."""
        uses = set(other.purposes) <= set(self.purposes) and set(other.methods) <= set(self.methods)
        return uses and self.covers(other)


def dataset_terms(value: Any) -> Iterator[DatasetTerm]:
    """Each dataset's part, in the order of the text; no dataset is named twice."""
    seen: set[str] = set()
    for index, item in enumerate(items(value, "/datasets", MOST_DATASETS)):
        term = _dataset_term(item, f"/datasets/{index}")
        if term.dataset in seen:
            raise Invalid("terms_repeated", "A dataset is named twice.", field=f"/datasets/{index}/dataset")
        seen.add(term.dataset)
        yield term


def _dataset_term(item: Any, at: str) -> DatasetTerm:
    members(item, REQUIRED, at, optional=OPTIONAL)
    dataset = matching(item["dataset"], f"{at}/dataset", IDENTIFIER)
    fields = distinct(item["fields"], f"{at}/fields", MOST_FIELDS, FIELD_NAME)
    return DatasetTerm(
        dataset=dataset,
        fields=fields,
        purposes=distinct(item["purposes"], f"{at}/purposes", MOST_PURPOSES, PURPOSE),
        methods=choices(item["methods"], f"{at}/methods", METHODS),
        rows=tuple(_rows(item["rows"], fields, f"{at}/rows")) if "rows" in item else (),
        volume=_volume(item["volume"], f"{at}/volume") if "volume" in item else None,
        cadence=_cadence(item["cadence"], f"{at}/cadence") if "cadence" in item else None,
        lawful_basis=choice(item["lawful_basis"], f"{at}/lawful_basis", LAWFUL_BASES)
        if "lawful_basis" in item
        else None,
        retention_days=whole(item["retention_days"], f"{at}/retention_days", 1, LONGEST_RETENTION_DAYS)
        if "retention_days" in item
        else None,
    )


def _rows(value: Any, granted: tuple[str, ...], at: str) -> Iterator[RowPredicate]:
    seen: set[str] = set()
    for index, item in enumerate(items(value, at, MOST_PREDICATES)):
        here = f"{at}/{index}"
        members(item, ("field", "in"), here)
        field = matching(item["field"], f"{here}/field", FIELD_NAME)
        if field in seen:
            raise Invalid("terms_repeated", "A field is named twice.", field=f"{here}/field")
        if field not in granted:
            raise Invalid(
                "terms_rows_field_not_granted",
                "Rows are chosen by a field that is not granted.",
                field=f"{here}/field",
                remedy="Grant the field, or leave the predicate out.",
            )
        seen.add(field)
        values = [
            value_to_match(one, f"{here}/in/{i}") for i, one in enumerate(items(item["in"], f"{here}/in", MOST_VALUES))
        ]
        yield RowPredicate(field, unrepeated(values, f"{here}/in"))


def _volume(value: Any, at: str) -> Volume:
    members(value, ("records", "per_seconds"), at)
    return Volume(
        records=whole(value["records"], f"{at}/records", 1, MOST_VOLUME),
        per_seconds=whole(value["per_seconds"], f"{at}/per_seconds", 1, LONGEST_WINDOW_S),
    )


def _cadence(value: Any, at: str) -> Cadence:
    members(value, CADENCE, at)
    every = choice(value["every"], f"{at}/every", EVERY)
    on = whole(value["on"], f"{at}/on", *_ON[every])
    first = date(value["first"], f"{at}/first")
    if not _falls_on(first, every, on):
        raise Invalid(
            "terms_first_off_cadence",
            "The first due date is no day that the cadence names.",
            field=f"{at}/first",
            remedy="Begin on the agreed day.",
        )
    return Cadence(
        every=every,
        on=on,
        by=time_of_day(value["by"], f"{at}/by"),
        time_zone=time_zone(value["time_zone"], f"{at}/time_zone"),
        calendar=country(value["calendar"], f"{at}/calendar"),
        grace_days=whole(value["grace_days"], f"{at}/grace_days", 0, LONGEST_GRACE_DAYS),
        first=first,
    )


def _falls_on(day: Date, every: str, on: int) -> bool:
    """Whether the cadence names this day; business days are for the calendar to say."""
    if every == "week":
        return day.isoweekday() == on
    if every == "month":
        return day.day == min(on, calendar.monthrange(day.year, day.month)[1])
    return True

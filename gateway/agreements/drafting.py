"""What the world says about proposed terms: members, datasets, fields, purposes, time zones, calendars and template.

Asked when terms are proposed, and not again: what both have signed does not become unreadable because a field, a
purpose or a time zone is gone. It then grants nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from gateway.agreements.dataset_terms import Cadence, DatasetTerm
from gateway.agreements.datasets import Datasets
from gateway.agreements.templates import refuse_incomplete
from gateway.agreements.terms import Terms
from gateway.business_days import has_calendar
from gateway.canonical import parse
from gateway.database import Reading
from gateway.errors import Invalid
from gateway.identity.subject import Subject
from gateway.members.members import is_admitted

Purposes = Callable[[], Collection[str]]
"""The alliance's registry of purposes (clause 1.1)."""


class Drafting:
    """Checks proposed terms; `Invalid` names the field."""

    def __init__(self, datasets: Datasets, purposes: Purposes) -> None:
        self._datasets = datasets
        self._purposes = purposes

    async def check(self, reading: Reading, subject: Subject, terms: Terms) -> None:
        """The drafter is a party, all who are named are admitted, and everything named is there."""
        if subject.member not in terms.parties:
            raise Invalid("drafter_no_party", "You are neither owner nor recipient.", field="/owner")
        refuse_incomplete(parse(terms.text))
        await _check_members(reading, subject, terms)
        for index, term in enumerate(terms.datasets):
            at = f"/datasets/{index}"
            await self._check_fields(reading, terms.owner, term, at)
            self._check_purposes(term, at)
            if term.cadence is not None:
                _check_cadence(term.cadence, terms, f"{at}/cadence")

    async def _check_fields(self, reading: Reading, owner: str, term: DatasetTerm, at: str) -> None:
        known = await self._datasets.fields_of(reading, owner=owner, dataset=term.dataset)
        if known is None:
            raise Invalid("dataset_unknown", "The owner has no such dataset.", field=f"{at}/dataset")
        for position, name in enumerate(term.fields):
            if name not in known:
                raise Invalid("field_unknown", "The dataset has no such field.", field=f"{at}/fields/{position}")
        if not term.rows:
            return
        filters = await self._datasets.filters_of(reading, dataset=term.dataset)
        for position, predicate in enumerate(term.rows):
            if predicate.field not in filters:
                raise Invalid(
                    "terms_rows_field_not_filterable",
                    "Rows can be chosen by fields with a filter alone.",
                    field=f"{at}/rows/{position}/field",
                    remedy="Choose a field with x-filter: equality.",
                )

    def _check_purposes(self, term: DatasetTerm, at: str) -> None:
        known = self._purposes()
        for position, name in enumerate(term.purposes):
            if name not in known:
                raise Invalid(
                    "purpose_unknown",
                    "The alliance's registry has no such purpose (clause 1.1).",
                    field=f"{at}/purposes/{position}",
                    remedy=f"Use {' or '.join(sorted(known))}.",
                )


async def _check_members(reading: Reading, subject: Subject, terms: Terms) -> None:
    named = [("/owner", terms.owner), ("/recipient", terms.recipient)]
    named += [(f"/third_parties/{place}", one) for place, one in enumerate(terms.third_parties)]
    for field, party in named:
        if party != subject.member and not await is_admitted(reading, alliance_id=subject.alliance, member_id=party):
            raise Invalid("party_unknown", "There is no such admitted member in your alliance.", field=field)


def _check_cadence(cadence: Cadence, terms: Terms, at: str) -> None:
    if cadence.time_zone not in _time_zones():
        raise Invalid(
            "terms_time_zone_unknown",
            "There is no such time zone.",
            field=f"{at}/time_zone",
            remedy="Use a name of the IANA database, such as Asia/Shanghai.",
        )
    if not has_calendar(cadence.calendar):
        raise Invalid(
            "terms_calendar_unknown",
            "No calendar of this country is known.",
            field=f"{at}/calendar",
            remedy="Name a country whose business days are known, such as CN.",
        )
    due = first_due_s(cadence)
    if not terms.starts_at <= due < terms.ends_at:
        raise Invalid(
            "terms_first_outside_term",
            "The first due date is outside the agreement's term.",
            field=f"{at}/first",
            remedy="Let it be due between start and end.",
        )


def first_due_s(cadence: Cadence) -> int:
    """Epoch seconds of the first due date's time of the day in its time zone.

    A time that a change of clocks skips is read with the offset before it; one that comes twice is the first.
    """
    by = time.fromisoformat(cadence.by)
    return int(datetime.combine(cadence.first, by, tzinfo=ZoneInfo(cadence.time_zone)).timestamp())


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())

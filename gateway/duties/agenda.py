"""The calendar of a member: what it owes, and what it is owed, between two instants (clause 4.1.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, bindparam, or_, select

from gateway.agreements import Agreement, Agreements, DatasetTerm
from gateway.agreements.tables import agreement
from gateway.business_days import CalendarUnknown
from gateway.cases.case import told
from gateway.clock import MILLISECONDS, Clock
from gateway.database import Database, Query, Row
from gateway.duties.deliveries import Window, fulfilled, in_force, windows_from
from gateway.duties.returns import describe_return
from gateway.duties.tables import duty, return_duty
from gateway.errors import Invalid

LONGEST_RANGE_S: Final = 400 * 24 * 3600
MOST_ITEMS: Final = 2000
_PAGE: Final = 100
_SETTLED = Query(
    select(duty).where(
        duty.c.agreement_id == bindparam("agreement"), duty.c.due_at >= bindparam("first", type_=BigInteger)
    )
)
_RETURNS = Query(
    select(return_duty)
    .join(agreement, agreement.c.id == return_duty.c.agreement_id)
    .where(
        or_(return_duty.c.member_id == bindparam("member"), agreement.c.owner_id == bindparam("member")),
        return_duty.c.state != "nothing",
        return_duty.c.due_at >= bindparam("first", type_=BigInteger),
        return_duty.c.due_at <= bindparam("last", type_=BigInteger),
    )
    .order_by(return_duty.c.due_at, return_duty.c.agreement_id, return_duty.c.member_id)
)


class Beside(Protocol):
    """What is to be done beside what agreements make due."""

    async def of(self, member: str, first_ms: int, last_ms: int) -> Sequence[dict[str, Any]]:
        """Everything of or towards a member that is due from `first_ms` to `last_ms`: with `due_at`, `agreement`."""


class Agenda:
    """Looks ahead by reckoning, and back by what was settled.

    A term whose calendar or time zone is not known any more takes no other duty with it: one line, without a period,
    says so in its `state` (`calendar_unknown`, `time_zone_unknown`), from the first instant at which it could be due.
    """

    def __init__(self, database: Database, agreements: Agreements, clock: Clock, beside: Beside | None = None) -> None:
        self._database = database
        self._beside = beside
        self._agreements = agreements
        self._clock = clock

    async def of(self, member: str, first_s: int, last_s: int) -> Sequence[dict[str, Any]]:
        """Every duty of or towards a member that is due from `first_s` to `last_s` (epoch seconds), by its instant.

        `Invalid` for more than 400 days, or beyond 2,000 duties.
        """
        if not 0 <= first_s <= last_s or last_s - first_s > LONGEST_RANGE_S:
            raise Invalid("invalid_range", "A calendar spans at most 400 days, from its beginning.", field="until")
        found: list[dict[str, Any]] = []
        async for one in self._all_of(member):
            found += await self._deliveries(one, member, first_s, last_s)
            if len(found) > MOST_ITEMS:
                raise Invalid(
                    "range_too_long", f"More than {MOST_ITEMS} duties.", field="until", remedy="Ask for less."
                )
        first, last = first_s * MILLISECONDS, last_s * MILLISECONDS
        found += [
            describe_return(row) for row in await self._database.all(_RETURNS, member=member, first=first, last=last)
        ]
        if self._beside is not None:
            found += await self._beside.of(member, first, last)
        return sorted(found, key=lambda one: (one["due_at"], one["agreement"]))

    async def _all_of(self, member: str) -> Any:
        after = ""
        while page := await self._agreements.of_member(member, after=after, limit=_PAGE):
            for one in page:
                yield one
            after = page[-1].id

    async def _deliveries(self, of: Agreement, member: str, first_s: int, last_s: int) -> list[dict[str, Any]]:
        if of.terms is None or member not in (of.owner, of.recipient):
            return []
        rows = await self._database.all(_SETTLED, agreement=of.id, first=first_s * MILLISECONDS)
        told_of: list[dict[str, Any]] = []
        for term in of.terms.datasets:
            settled = {row["period"]: row for row in rows if row["dataset_id"] == term.dataset}
            found: Iterable[dict[str, Any]]
            try:
                found = await self._reckoned(of, term, settled, first_s, last_s)
            except CalendarUnknown as unknown:
                found = _unreckoned(of, unknown, settled, first_s, last_s)
            told_of += [_named(of, term, member) | one for one in found]
        return told_of

    async def _reckoned(
        self, of: Agreement, term: DatasetTerm, settled: Mapping[str, Row], first_s: int, last_s: int
    ) -> list[dict[str, Any]]:
        found = []
        uploaded = await fulfilled(self._database, self._agreements, of, term, self._clock())
        for window in windows_from(of, term, first_s):
            if window.due.at > last_s:
                break
            row = settled.get(window.due.period)
            state = str(row["state"]) if row is not None else self._ahead(window, uploaded)
            found.append(_described(window, row, state))
        return found

    def _ahead(self, window: Window, uploaded: Collection[str]) -> str:
        """The state of what is not settled: `delivered` early, `late` within its grace, else `due`."""
        if window.due.period in uploaded:
            return "delivered"
        return "late" if self._clock() > window.due_at else "due"


def _named(of: Agreement, term: DatasetTerm, member: str) -> dict[str, Any]:
    role = "owner" if member == of.owner else "recipient"
    return {"kind": "delivery", "role": role, "agreement": of.id, "dataset": term.dataset}


def _described(window: Window, row: Row | None, state: str) -> dict[str, Any]:
    return {
        "period": window.due.period,
        "due_at": told(window.due_at),
        "grace_until": told(window.closes_at),
        "provisional": window.due.provisional,
        "state": state,
        "case": None if row is None else row["case_id"],
    }


def _unreckoned(
    of: Agreement, unknown: CalendarUnknown, settled: Mapping[str, Row], first_s: int, last_s: int
) -> Iterator[dict[str, Any]]:
    """What was settled of a term whose calendar is not known any more, and one line that says so for all the rest."""
    lasts, first, last = in_force(of), first_s * MILLISECONDS, last_s * MILLISECONDS
    for row in settled.values():
        if row["due_at"] <= last:
            at = {"due_at": told(row["due_at"]), "grace_until": told(row["grace_until"]), "provisional": False}
            yield {"period": row["period"], **at, "state": row["state"], "case": row["case_id"]}
    if lasts is not None and lasts[0] <= last and first < lasts[1]:
        at = {"due_at": told(max(first, lasts[0])), "grace_until": None, "provisional": True}
        yield {"period": "", **at, "state": unknown.code, "case": None}

"""The calendar of a member: what it owes, and what it is owed, between two instants (clause 4.1.2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, bindparam, or_, select

from gateway.agreements import Agreement, Agreements
from gateway.agreements.tables import agreement
from gateway.cases.case import told
from gateway.clock import MILLISECONDS, Clock
from gateway.database import Database, Query, Row
from gateway.duties.deliveries import Window, fulfilled, windows_from
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
    """Looks ahead by reckoning, and back by what was settled."""

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
        settled = {(row["dataset_id"], row["period"]): row for row in rows}
        told_of = []
        for term in of.terms.datasets:
            uploaded = await fulfilled(self._database, of, term, self._clock())
            for window in windows_from(of, term, first_s):
                if window.due.at > last_s:
                    break
                row = settled.get((term.dataset, window.due.period))
                state = str(row["state"]) if row is not None else self._ahead(window, uploaded)
                told_of.append(_described(window, row, member, state))
        return told_of

    def _ahead(self, window: Window, uploaded: Collection[str]) -> str:
        """The state of what is not settled: `delivered` early, `late` within its grace, else `due`."""
        if window.due.period in uploaded:
            return "delivered"
        return "late" if self._clock() > window.due_at else "due"


def _described(window: Window, row: Row | None, member: str, state: str) -> dict[str, Any]:
    return {
        "kind": "delivery",
        "role": "owner" if member == window.agreement.owner else "recipient",
        "agreement": window.agreement.id,
        "dataset": window.dataset,
        "period": window.due.period,
        "due_at": told(window.due_at),
        "grace_until": told(window.closes_at),
        "provisional": window.due.provisional,
        "state": state,
        "case": None if row is None else row["case_id"],
    }

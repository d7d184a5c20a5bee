"""Settles what has come due (clauses 4.1.2, 9.1.1): on time, waived, or missed, which opens one breach candidate.

Any number of processes may run it at once, and again: each due date is settled under the lock of the owner's log, by
one row. Nothing here looks at holds, and nothing here touches anybody's access: duties on what is not disputed go on
(7.2.3), and a late upload never cuts the recipient off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, delete, insert, or_, select

from gateway.agreements import Agreement, Agreements, DatasetTerm, HoldSubject
from gateway.agreements.held import OPEN_END_MS, term_of
from gateway.agreements.tables import agreement
from gateway.apart import Apart
from gateway.cases.case import told
from gateway.cases.opening import NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.clock import Clock
from gateway.confidentiality.participation import took_part
from gateway.database import Database, Query
from gateway.duties.deliveries import Window, in_force, unsettled
from gateway.duties.returns import Returns
from gateway.duties.tables import duty, duty_watch
from gateway.ledger import Change, Ledger

_PAGE: Final = 500
_ADD = Query(insert(duty))
_KNOWN = Query(
    select(duty.c.state).where(
        duty.c.agreement_id == bindparam("agreement"),
        duty.c.dataset_id == bindparam("dataset"),
        duty.c.period == bindparam("period"),
    )
)
_DUE = Query(
    select(agreement.c.id)
    .outerjoin(duty_watch, duty_watch.c.agreement_id == agreement.c.id)
    .where(
        agreement.c.signed_at.is_not(None),
        agreement.c.id > bindparam("after"),
        or_(
            duty_watch.c.agreement_id.is_(None),
            duty_watch.c.version != agreement.c.version,
            duty_watch.c.next_at <= bindparam("now", type_=BigInteger),
        ),
    )
    .order_by(agreement.c.id)
    .limit(_PAGE)
)
_FORGET_WATCH = Query(delete(duty_watch).where(duty_watch.c.agreement_id == bindparam("the_id")))
_WATCH = Query(insert(duty_watch))


@dataclass(slots=True)
class Settled:
    """What one run did: due dates settled, and breach candidates opened."""

    dates: int = 0
    candidates: int = 0


class DutyRun:
    """Looks at every agreement whose time has come."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        agreements: Agreements,
        returns: Returns,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._returns = returns
        self._clock = clock

    async def run(self) -> Settled:
        """Settle whatever is due by now; a second run finds nothing to do.

        What cannot be reckoned with, or whose log cannot be written, keeps nothing else waiting: its error is raised at
        the end, and it is looked at again by the next run.
        """
        done, after, now = Settled(), "", self._clock()
        with Apart() as each:
            while ids := await self._database.all(_DUE, after=after, now=now):
                for row in ids:
                    after = str(row["id"])
                    await each(self._settle_all(after, now, done))
        return done

    async def _settle_all(self, agreement_id: str, now: int, done: Settled) -> None:
        found = await self._agreements.load(agreement_id)
        if found is not None and found.terms is not None:
            await self._settle(found, now, done)

    async def _settle(self, found: Agreement, now: int, done: Settled) -> None:
        """Each dataset apart, and what is to be returned: one that cannot be reckoned with stops no other."""
        assert found.terms is not None
        nexts: list[int] = []
        with Apart() as each:
            for term in found.terms.datasets:
                await each(self._settle_term(found, term, now, done, nexts))
            await each(self._settle_end(found, now, done, nexts))
        await self._watch(found, min(nexts))

    async def _settle_term(
        self, found: Agreement, term: DatasetTerm, now: int, done: Settled, nexts: list[int]
    ) -> None:
        for window in await unsettled(self._database, self._agreements, found, term):
            if now <= window.closes_at:
                nexts.append(window.closes_at + 1)
                break
            await self._settle_one(window, done)

    async def _settle_end(self, found: Agreement, now: int, done: Settled, nexts: list[int]) -> None:
        lasts = in_force(found)
        assert lasts is not None
        _, end = lasts
        if now >= end:
            opened, next_at = await self._returns.settle(found, end)
            done.candidates += opened
            nexts.append(next_at)
        else:
            nexts.append(end)

    async def _settle_one(self, window: Window, done: Settled) -> None:
        of = window.agreement
        names = {"agreement": of.id, "dataset": window.dataset}
        async with self._ledger.changing(of.owner) as change:
            if await change.tx.one(_KNOWN, **names, period=window.due.period) is not None:
                return
            upload_id = await window.delivery(change.tx)
            case_id = None
            state = "delivered"
            if upload_id is None:
                state = "missed" if await _both_took_part(change, window) else "waived"
            if state == "missed":
                case_id = await open_case(change, _candidate(window))
            await change.tx.run(
                _ADD,
                agreement_id=of.id,
                dataset_id=window.dataset,
                period=window.due.period,
                due_at=window.due_at,
                grace_until=window.closes_at,
                state=state,
                upload_id=upload_id,
                case_id=case_id,
                settled_at=change.now_ms,
            )
        done.dates += 1
        done.candidates += case_id is not None

    async def _watch(self, found: Agreement, next_at: int) -> None:
        row = {"agreement_id": found.id, "version": found.version, "next_at": min(next_at, OPEN_END_MS)}
        async with self._ledger.changing(found.owner) as change:
            await _put_watch(change, row)


async def _both_took_part(change: Change, window: Window) -> bool:
    """Whether both sides had opted in when it was due: who had opted out owes nothing (clause 1.3.1)."""
    of = window.agreement
    return await took_part(change.tx, agreement=of.id, dataset=window.dataset, members=of.parties, at_ms=window.due_at)


async def _put_watch(change: Change, row: dict[str, Any]) -> None:
    await change.tx.run(_FORGET_WATCH, the_id=row["agreement_id"])
    await change.tx.run(_WATCH, **row)


def _candidate(window: Window) -> NewCase:
    of, due = window.agreement, window.due
    reckoned = " It was reckoned with a calendar that was not published yet." if due.provisional else ""
    return NewCase(
        alliance=of.alliance,
        log=of.owner,
        kind=CaseKind.BREACH,
        claimant=of.recipient,
        respondent=of.owner,
        claim=f"Nothing was uploaded that was due at {told(window.due_at)}, nor by {told(window.closes_at)}.{reckoned}",
        actor={"duty": due.period},
        agreement=of.id,
        subject_kind=HoldSubject.TERM.value,
        subject_id=term_of(of.id, window.dataset),
        origin=f"late:{of.id}:{window.dataset}:{due.period}",
        facts={
            "period": due.period,
            "due_at": window.due_at,
            "grace_until": window.closes_at,
            "provisional": due.provisional,
        },
    )

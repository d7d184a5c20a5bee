"""Settles what the clock has brought: reminders, and what is overdue, which opens one breach candidate (clause 9.1.2).

Any number of processes may run it at once, and again. Nothing here touches anybody's access: it ended with the consent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from sqlalchemy import BigInteger, Text, and_, bindparam, or_, select, tuple_, update

from gateway.agreements import HoldSubject
from gateway.agreements.held import term_of
from gateway.apart import Apart
from gateway.canonical import canonical
from gateway.cases.case import told
from gateway.cases.opening import NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.clock import Clock
from gateway.consents.following.queueing import add_message
from gateway.consents.following.states import REMINDERS, UNMET, Deadlines, State, effective
from gateway.consents.following.tables import follow_up, stands_at
from gateway.consents.following.views import BY_ID, follow_ups
from gateway.database import Database, Query, Row
from gateway.identifiers import random_id
from gateway.ledger import Change, Ledger

ORIGIN: Final = "withdrawal"
"""The first part of the origin of every case that is opened here."""
MOST_IN_REMINDER: Final = 100
_PAGE: Final = 500
_OPEN = stands_at(UNMET)
_NOW = bindparam("now", type_=BigInteger)
_AFTER = bindparam("after", type_=Text)
_LATE = Query(
    select(follow_up.c.id, follow_up.c.owner_id)
    .where(
        _OPEN,
        follow_up.c.overdue_at.is_(None),
        or_(
            follow_up.c.comply_by < _NOW,
            and_(follow_up.c.acknowledged_at.is_(None), follow_up.c.acknowledge_by < _NOW),
        ),
        follow_up.c.id > _AFTER,
    )
    .order_by(follow_up.c.id)
    .limit(_PAGE)
)
_PASSED = [
    and_(
        follow_up.c.reminded == number,
        (_NOW - follow_up.c.queued_at) * 100 >= (follow_up.c.comply_by - follow_up.c.queued_at) * share,
    )
    for number, share in enumerate(REMINDERS)
]
_TO_REMIND = Query(
    follow_ups()
    .where(
        _OPEN,
        follow_up.c.comply_by >= _NOW,
        or_(*_PASSED),
        tuple_(follow_up.c.recipient_id, follow_up.c.id) > tuple_(bindparam("recipient", type_=Text), _AFTER),
    )
    .order_by(follow_up.c.recipient_id, follow_up.c.id)
    .limit(_PAGE)
)
_SETTLE = Query(
    update(follow_up)
    .values(overdue_at=bindparam("at", type_=BigInteger), case_id=bindparam("its_case", type_=Text))
    .where(follow_up.c.id == bindparam("the_id"))
)
_REMIND = Query(
    update(follow_up)
    .values(reminded=bindparam("reached", type_=BigInteger))
    .where(follow_up.c.id == bindparam("the_id"), follow_up.c.reminded == bindparam("seen", type_=BigInteger), _OPEN)
)


@dataclass(slots=True)
class Settled:
    """What one run did: follow-ups found overdue, and reminders queued."""

    overdue: int = 0
    reminders: int = 0


class FollowUpRun:
    """Looks at every follow-up whose time has come."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def run(self) -> Settled:
        """Settle whatever has come by now; a second run finds nothing to do.

        An owner or an alliance whose log cannot be written keeps nobody else waiting: its error is raised at the end.
        The calendar, which takes long to load, is loaded here and by no withdrawal under its owner's lock.
        """
        await asyncio.to_thread(self._deadlines.of, self._clock())
        done, now, last = Settled(), self._clock(), {"after": "", "recipient": ""}
        with Apart() as each:
            while rows := await self._database.all(_LATE, now=now, after=last["after"]):
                for row in rows:
                    done.overdue += await each(self._settle(row["id"], row["owner_id"]))
                last["after"] = rows[-1]["id"]
            last["after"] = ""
            while rows := await self._database.all(_TO_REMIND, now=now, **last):
                for of_one in _by_recipient(rows):
                    done.reminders += await each(self._remind(of_one))
                last = {"after": rows[-1]["id"], "recipient": rows[-1]["recipient_id"]}
        return done

    async def _settle(self, follow_up_id: str, owner: str) -> bool:
        async with self._ledger.changing(owner) as change:
            row = await change.tx.one(BY_ID, id=follow_up_id)
            assert row is not None
            late = row["overdue_at"] is None and effective(row, change.now_ms) is State.OVERDUE
            if late:
                case_id = await open_case(change, _candidate(row))
                await change.tx.run(_SETTLE, the_id=follow_up_id, at=change.now_ms, its_case=case_id)
        return late

    async def _remind(self, rows: Sequence[Row]) -> bool:
        """One message of everything that a recipient is to be reminded of now."""
        alliance, recipient = rows[0]["alliance_id"], rows[0]["recipient_id"]
        async with self._ledger.changing(alliance) as change:
            reminded = [row for row in rows if await _advance(change, row)]
            if reminded:
                content = _reminder(reminded, change.now_ms)
                await add_message(change, random_id(), alliance, recipient, content=content)
        return bool(reminded)


def _by_recipient(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """Those of each recipient in each alliance, what is due first at the front."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=itemgetter("comply_by")):
        found[row["alliance_id"], row["recipient_id"]].append(row)
    return found.values()


async def _advance(change: Change, row: Row) -> bool:
    """Count the reminders that are passed, unless another process did, or it was answered."""
    begun, lasts = change.now_ms - row["queued_at"], row["comply_by"] - row["queued_at"]
    reached = sum(begun * 100 >= lasts * share for share in REMINDERS)
    return await change.tx.run(_REMIND, the_id=row["id"], seen=row["reminded"], reached=reached) == 1


def _reminder(rows: Sequence[Row], now_ms: int) -> str:
    items = [
        {
            "id": row["id"],
            "event_id": row["event_id"],
            "consent": row["consent_id"],
            "state": effective(row, now_ms).value,
            "acknowledge_by": told(row["acknowledge_by"]),
            "comply_by": told(row["comply_by"]),
        }
        for row in rows[:MOST_IN_REMINDER]
    ]
    said = {"type": "consent.reminder", "timestamp": told(now_ms), "data": {"count": len(rows), "withdrawals": items}}
    return canonical(said).decode()


def _candidate(row: Row) -> NewCase:
    agreement = row["agreement_id"]
    heard = "acknowledged" if row["acknowledged_at"] is None else "complied with"
    due = row["acknowledge_by"] if row["acknowledged_at"] is None else row["comply_by"]
    return NewCase(
        alliance=row["alliance_id"],
        log=row["owner_id"],
        kind=CaseKind.BREACH,
        claimant=row["owner_id"],
        respondent=row["recipient_id"],
        claim=f"What a consent allowed has ended ({row['cause']}). This was not {heard} by {told(due)}.",
        actor={"follow_up": row["id"]},
        agreement=agreement,
        subject_kind=HoldSubject.TERM.value if agreement else "",
        subject_id=term_of(agreement, row["dataset_id"]) if agreement else "",
        origin=f"{ORIGIN}:{row['id']}",
        facts={"consent": row["consent_id"], "cause": row["cause"], "due_at": due, "event": row["event_id"]},
    )

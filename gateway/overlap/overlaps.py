"""Asking for an overlap takes both members: one proposes it, the other accepts. Each act stands in both logs.

What is accepted counts against the pair's budget of the month, in the transaction that accepts it and under the locks
of both logs, so that no two acceptances see the same remainder.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Text, bindparam, func, insert, or_, select, update

from gateway.agreements.agreements import Agreements
from gateway.agreements.fields import choice, members
from gateway.clock import Clock, seconds
from gateway.database import Database, Query, Transaction
from gateway.errors import Conflicting, Invalid, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.overlap.freezing import NORMALISED
from gateway.overlap.record import Overlap, found
from gateway.overlap.sides import Side, standing
from gateway.overlap.tables import overlap

MOST_A_MONTH: Final = 2
"""Counts of one pair of members in one month (UTC), whoever proposed them."""
MOST_LISTED: Final = 100
SPENT: Final = Reason("OVERLAP_BUDGET_SPENT", "2.2.1")

_ADD = Query(insert(overlap))
_SPENT = Query(
    select(func.count().label("accepted")).where(
        overlap.c.pair == bindparam("pair"),
        overlap.c.month == bindparam("month"),
        or_(overlap.c.state == "accepted", overlap.c.state == "answered"),
    )
)
_DECIDE = Query(
    update(overlap)
    .where(overlap.c.id == bindparam("the_id"), overlap.c.state == "proposed")
    .values(
        state=bindparam("its_state", type_=Text),
        acceptor_client_id=bindparam("by", type_=Text),
        month=bindparam("its_month", type_=Text),
        due_at=bindparam("at", type_=BigInteger),
    )
)
_PAGE = Query(
    select(overlap)
    .where(
        or_(overlap.c.proposer_id == bindparam("member"), overlap.c.acceptor_id == bindparam("member")),
        overlap.c.id > bindparam("after"),
    )
    .order_by(overlap.c.id)
    .limit(bindparam("most", type_=BigInteger))
)


class Overlaps:
    """Proposed, accepted, declined, shown: for the two members alone."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._clock = clock

    async def propose(self, subject: Subject, said: Mapping[str, Any]) -> dict[str, Any]:
        """Ask another member for a count. `own` is yours, `other` its dataset, which the token grants for matching."""
        members(said, ("matched_by", "own", "other"), "")
        own, other = Side.of(said["own"], "/own"), Side.of(said["other"], "/other")
        matched_by = choice(said["matched_by"], "/matched_by", tuple(NORMALISED))
        other.require_grant(subject)
        acceptor = await self._acceptor(subject.member, own, other)
        row = {
            "id": random_id(),
            "alliance_id": subject.alliance,
            "pair": ".".join(sorted((subject.member, acceptor))),
            "matched_by": matched_by,
            "proposer_id": subject.member,
            "proposer_client_id": subject.client,
            "proposer_agreement_id": own.agreement,
            "proposer_dataset_id": own.dataset,
            "proposer_field": own.field,
            "acceptor_id": acceptor,
            "acceptor_client_id": None,
            "acceptor_agreement_id": other.agreement,
            "acceptor_dataset_id": other.dataset,
            "acceptor_field": other.field,
            "state": "proposed",
            "due_at": 0,
            "attempts": 0,
            "read": 0,
            **dict.fromkeys(
                ("month", "last_code", "at_least", "fewer_than", "method", "answered_at", "repeats"),
            ),
        }
        async with self._ledger.changing(subject.member, acceptor) as change:
            proposed = Overlap.of(row | {"proposed_at": change.now_ms})
            await change.tx.run(_ADD, **row, proposed_at=change.now_ms)
            facts = {"matched_by": matched_by, "proposer": own.facts(), "acceptor": other.facts()}
            for draft in proposed.entries("overlap_proposed", subject.actor(), **facts):
                change.enter(draft)
        return proposed.describe()

    async def accept(self, subject: Subject, overlap_id: str) -> dict[str, Any]:
        """Agree to a count, which then runs by itself; a second time changes nothing.

        `Refused`, on record in both logs, once the pair's budget of the month is spent.
        """
        asked = await self._for_acceptor(subject, overlap_id)
        asked.proposers.require_grant(subject)
        await self._acceptor(asked.proposer, asked.proposers, asked.acceptors)
        event = ""
        async with self._ledger.changing(*asked.members) as change:
            month = datetime.fromtimestamp(seconds(change.now_ms), UTC).strftime("%Y-%m")
            counted = await change.tx.one(_SPENT, pair=asked.pair, month=month)
            assert counted is not None
            current = await found(change.tx, overlap_id, subject.member)
            if current.state == "proposed" and counted["accepted"] >= MOST_A_MONTH:
                drafts = asked.entries("overlap_accepted", subject.actor(), SPENT, month=month)
                event = {draft.log: change.enter(draft) for draft in drafts}[subject.member]
            elif await _decide(change.tx, overlap_id, "accepted", by=subject.client, month=month, at=change.now_ms):
                for draft in asked.entries("overlap_accepted", subject.actor(), month=month):
                    change.enter(draft)
            elif current.state == "declined":
                raise Conflicting("overlap_declined", "It was declined.", field="overlap")
        if event:
            raise Refused((SPENT,), event_id=event, log=subject.member, remedy="Accept it next month.")
        return await self.show(subject, overlap_id)

    async def decline(self, subject: Subject, overlap_id: str) -> dict[str, Any]:
        """Do not agree to a count, by the member that was asked; a second time changes nothing."""
        asked = await self._for_acceptor(subject, overlap_id)
        async with self._ledger.changing(*asked.members) as change:
            if await _decide(change.tx, overlap_id, "declined", by=subject.client, month=None, at=0):
                for draft in asked.entries("overlap_declined", subject.actor()):
                    change.enter(draft)
            elif (await found(change.tx, overlap_id, subject.member)).state != "declined":
                raise Conflicting("overlap_accepted", "It was accepted.", field="overlap")
        return await self.show(subject, overlap_id)

    async def show(self, subject: Subject, overlap_id: str) -> dict[str, Any]:
        """How far it has come."""
        return (await found(self._database, overlap_id, subject.member)).describe()

    async def count(self, subject: Subject, overlap_id: str) -> dict[str, Any]:
        """The answer. `Conflicting` before, `Refused` where there is none, `WorkerFailed` until the next attempt."""
        return (await found(self._database, overlap_id, subject.member)).count()

    async def page(self, subject: Subject, *, after: str, limit: int) -> list[dict[str, Any]]:
        """The member's overlaps, proposed by it or to it, by id."""
        rows = await self._database.all(_PAGE, member=subject.member, after=after, most=limit)
        return [Overlap.of(row).describe() for row in rows]

    async def _for_acceptor(self, subject: Subject, overlap_id: str) -> Overlap:
        asked = await found(self._database, overlap_id, subject.member)
        if subject.member != asked.acceptor:
            raise Refused((Reason("OTHER_SIDE_ONLY"),))
        return asked

    async def _acceptor(self, proposer: str, own: Side, other: Side) -> str:
        """The other member, where both sides are agreed on now, each under its owner's agreement with the other."""
        now_s = seconds(self._clock())
        gives = await standing(self._agreements, own, "/own", member=proposer, now_s=now_s)
        takes = await standing(self._agreements, other, "/other", member=proposer, now_s=now_s)
        if gives.owner != proposer:
            raise Invalid(
                "overlap_not_own", "Your own side is under an agreement that you own.", field="/own/agreement"
            )
        if takes.parties != (gives.recipient, proposer):
            raise Invalid(
                "overlap_not_mutual",
                "The other side is under an agreement that the recipient of yours has with you.",
                field="/other/agreement",
            )
        return gives.recipient


async def _decide(tx: Transaction, overlap_id: str, state: str, *, by: str, month: str | None, at: int) -> bool:
    return await tx.run(_DECIDE, the_id=overlap_id, its_state=state, by=by, its_month=month, at=at) == 1

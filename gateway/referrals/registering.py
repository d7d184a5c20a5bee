"""Registration: the instant at which a valid consent stands, in the order that decides who was first (clause 4.3.1).

A referral without one holds no place. The recipient's log is locked, so that its registered referrals are numbered
without a gap or a tie, on any number of processes.
"""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from gateway.agreements import Agreements
from gateway.clock import seconds
from gateway.database import Query
from gateway.errors import Conflicting
from gateway.ledger import Change
from gateway.referrals.deadlines import attributed_until, protected_until
from gateway.referrals.keys import keep_stated_terms
from gateway.referrals.policies import in_force
from gateway.referrals.referral import Referral
from gateway.referrals.states import Event, follow
from gateway.referrals.tables import referral
from gateway.referrals.writing import move

_LAST = Query(
    select(func.coalesce(func.max(referral.c.sequence), 0).label("number")).where(
        referral.c.recipient_id == bindparam("recipient")
    )
)


async def require_in_force(agreements: Agreements, found: Referral) -> None:
    """`Conflicting` unless the agreement is in force: without one nobody is offered anything."""
    if await agreements.in_force(found.row["agreement_id"], seconds(found.now_ms)) is None:
        raise Conflicting("agreement_not_in_force", "The agreement is not in force.", field="/agreement")


async def register(change: Change, found: Referral) -> Referral:
    """Give a referral its place, under the policy of this instant; the change locks both sides' logs.

    Nothing here looks at other referrals of the same person: whether there are any shows in nothing that the referrer
    is told, nor in how long it takes.
    """
    policy = await in_force(change.tx, found.row["agreement_id"])
    last = await change.tx.one(_LAST, recipient=found.recipient)
    assert last is not None
    await keep_stated_terms(change.tx, found)
    return await move(
        change,
        found,
        follow(found.state, Event.REGISTER),
        policy=policy,
        sequence=last["number"] + 1,
        ready_at=change.now_ms,
        protected_until=protected_until(policy, change.now_ms),
        attributed_until=attributed_until(policy, change.now_ms),
    )

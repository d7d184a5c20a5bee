"""The cases that hold a referral, in SQL: which one holds it now, and for how long its clock has stood still.

A case about what it was made under (the agreement, the dataset, the recipient's access) stops no clock: while it
lasts, nothing more is given by the referral, and whoever waits for it refers again.

A contested referral can be accepted only when no case holds any of those contested with it: so its clock stands still
for every one of their cases. Nothing here is written down; whoever reads compares the instants with the deadline.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, case, func, or_, select

from gateway.agreements import HoldSubject
from gateway.agreements.held import matching
from gateway.agreements.tables import hold
from gateway.referrals.states import State
from gateway.referrals.tables import referral

_contested = referral.alias("contested")
_ENDS: Final[ColumnElement[int]] = case(
    (and_(hold.c.state == "lifted", hold.c.lifted_at < hold.c.until), hold.c.lifted_at), else_=hold.c.until
)


def held_for() -> ColumnElement[str]:
    """The case that holds the referral at :now_ms, or null."""
    return (
        select(func.min(hold.c.case_id))
        .where(
            hold.c.subject_kind == HoldSubject.REFERRAL.value,
            hold.c.subject_id == referral.c.id,
            hold.c.owner_id == referral.c.owner_id,
            hold.c.state == "active",
            hold.c.until > bindparam("now_ms", type_=BigInteger),
        )
        .correlate(referral)
        .scalar_subquery()
    )


def frozen_for() -> ColumnElement[str]:
    """The case that holds a read of the referral's person at :now_ms, or null."""
    of = referral.c
    return (
        select(func.min(hold.c.case_id))
        .where(
            matching(of.agreement_id, of.dataset_id, of.recipient_id, of.recipient_id, of.owner_id),
            hold.c.until > bindparam("now_ms", type_=BigInteger),
        )
        .correlate(referral)
        .scalar_subquery()
    )


def stopped_at() -> ColumnElement[int]:
    """When the first case came that has stopped its clock since it was last written, or null."""
    return _of_stopping(func.min(hold.c.placed_at))


def freed_at() -> ColumnElement[int]:
    """When the last of these cases is over, in time to come while one holds; or null."""
    return _of_stopping(func.max(_ENDS))


def _of_stopping(wanted: ColumnElement[Any]) -> ColumnElement[int]:
    """Of the cases that are over only after the referral was last written."""
    is_itself = _contested.c.id == referral.c.id
    is_contested = and_(
        referral.c.state == State.CONFLICT_HOLD.value, _contested.c.conflict_id == referral.c.conflict_id
    )
    return (
        select(wanted)
        .join_from(hold, _contested, _contested.c.id == hold.c.subject_id)
        .where(
            hold.c.subject_kind == HoldSubject.REFERRAL.value,
            hold.c.owner_id == _contested.c.owner_id,
            or_(is_itself, is_contested),
            referral.c.changed_at < _ENDS,
        )
        .correlate(referral)
        .scalar_subquery()
    )

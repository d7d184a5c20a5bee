"""Claims that no policy decides between: each is disputed by its own two parties, and frozen alone (clause 7.2.3).

Every referrer has a case of its own with the recipient, so that none of them learns who the other one is. When what
holds them is lifted, by the decision of their cases, the recipient accepts one, and the others are set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam

from gateway.agreements import HoldSubject
from gateway.agreements.holds import Freeze, freeze
from gateway.business_days import end_of_business_day
from gateway.cases.keeping import keep
from gateway.cases.opening import NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.clock import MILLISECONDS, seconds
from gateway.database import Query, Reading
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change
from gateway.referrals.entries import GATEWAY, enter_both
from gateway.referrals.referral import Referral, as_it_stands, at
from gateway.referrals.states import BEFORE_DISCLOSURE, Event, State, follow
from gateway.referrals.tables import referral
from gateway.referrals.writing import move

NEGOTIATION_DAYS: Final = 10
"""Business days to negotiate a conflict, which is none of one agreement's own."""

_IN_CONFLICT = Query(
    as_it_stands().where(referral.c.conflict_id == bindparam("conflict"), referral.c.id != bindparam("but"))
)


async def contest_all(change: Change, found: Referral, earlier: Sequence[Referral]) -> None:
    """Dispute a claim, and each of those before it that no case holds yet, in the conflict that they are in already."""
    begun = sorted(one.row["conflict_id"] for one in earlier if one.stored is State.CONFLICT_HOLD)
    conflict = begun[0] if begun else random_id()
    for one in (found, *(rival for rival in earlier if rival.held_for is None)):
        await _contest(change, one, conflict)


async def _contest(change: Change, found: Referral, conflict: str) -> Referral:
    """Open the case of one claim and freeze it; the change narrows its owner, and locks the recipient's log."""
    case_id = await open_case(
        change,
        NewCase(
            alliance=found.row["alliance_id"],
            log=found.owner,
            kind=CaseKind.DISPUTE,
            claimant=found.owner,
            respondent=found.recipient,
            claim="Somebody else claims this referral too, and the agreements do not say who counts.",
            actor=GATEWAY,
            agreement=found.row["agreement_id"],
            subject_kind=HoldSubject.REFERRAL.value,
            subject_id=found.id,
            origin=f"referral:{random_id()}:{found.id}",
            clock_until=end_of_business_day(seconds(change.now_ms), NEGOTIATION_DAYS) * MILLISECONDS,
        ),
    )
    assert case_id is not None
    wanted = Freeze(
        alliance=found.row["alliance_id"],
        owner=found.owner,
        kind=HoldSubject.REFERRAL,
        subject=found.id,
        case=case_id,
    )
    await freeze(change, wanted, GATEWAY)
    await keep(change, case_id, {found.row["dataset_id"]})
    state = follow(found.state, Event.CONTEST) if found.state in BEFORE_DISCLOSURE else found.stored
    offered_at = found.row["offered_at"] or change.now_ms
    held = await move(change, found, state, conflict_id=conflict, offered_at=offered_at)
    enter_both(change, "referral_contested", GATEWAY, held, case=case_id)
    return held


async def rivals_in_conflict(reading: Reading, found: Referral, now_ms: int) -> Sequence[Referral]:
    """The other claims that were contested together with this one and are still."""
    if not found.row["conflict_id"]:
        return []
    rows = await reading.all(_IN_CONFLICT, conflict=found.row["conflict_id"], but=found.id, **at(now_ms))
    return [one for one in (Referral(row, now_ms) for row in rows) if one.stored is State.CONFLICT_HOLD]


async def set_aside_the_others(change: Change, accepted: Referral, by: Subject) -> None:
    """Accepting one of several contested claims sets the others aside; none of them may be held any more."""
    if accepted.stored is not State.CONFLICT_HOLD:
        return
    for other in await rivals_in_conflict(change.tx, accepted, change.now_ms):
        other.require_free()
        aside = await move(change, other, State.DUPLICATE)
        enter_both(change, "referral_set_aside", by, aside)

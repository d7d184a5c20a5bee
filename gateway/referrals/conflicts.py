"""Claims that no policy decides between: each is disputed by its own two parties, and frozen alone (clause 7.2.3).

Every referrer has a case of its own with the recipient, so that none of them learns who the other one is. When what
holds them is lifted, by the decision of their cases, the recipient accepts one, and the others are set aside, whatever
they were when the conflict began. Of one person, so, one claim at most is worked on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, bindparam, select

from gateway.agreements import HoldSubject
from gateway.agreements.holds import Freeze, freeze
from gateway.agreements.tables import hold
from gateway.business_days import end_of_business_day
from gateway.cases.keeping import keep
from gateway.cases.opening import NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.cases.tables import case_file
from gateway.clock import MILLISECONDS, seconds
from gateway.database import Query, Reading
from gateway.errors import Conflicting
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change
from gateway.referrals.entries import GATEWAY, enter_both
from gateway.referrals.referral import Referral, as_it_stands, at
from gateway.referrals.states import BEFORE_DISCLOSURE, CLAIMING, Event, State, follow
from gateway.referrals.tables import referral
from gateway.referrals.writing import make_one_conflict, move

NEGOTIATION_DAYS: Final = 10
"""Business days to negotiate a conflict, which is none of one agreement's own."""
_ORIGIN: Final = "referral:"

_IN_CONFLICT = Query(
    as_it_stands().where(referral.c.conflict_id == bindparam("conflict"), referral.c.id != bindparam("but"))
)
_OF_CONFLICTS = Query(
    select(hold.c.case_id)
    .join(case_file, case_file.c.id == hold.c.case_id)
    .where(
        hold.c.subject_kind == HoldSubject.REFERRAL.value,
        hold.c.subject_id == bindparam("referral"),
        hold.c.state == "active",
        hold.c.until > bindparam("now", type_=BigInteger),
        case_file.c.origin.startswith(_ORIGIN),
    )
    .limit(1)
)


async def contest_all(change: Change, found: Referral, earlier: Sequence[Referral]) -> None:
    """Dispute a claim and every one before it, in one conflict; those that a conflict holds already have their case.

    A claim that its own parties dispute joins like any other: their case decides nothing between the claims.
    """
    begun = sorted({one.row["conflict_id"] for one in earlier} - {""})
    conflict = begun[0] if begun else random_id()
    await make_one_conflict(change, conflict, begun[1:])
    for one in (found, *earlier):
        if await change.tx.one(_OF_CONFLICTS, referral=one.id, now=change.now_ms) is None:
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
            origin=f"{_ORIGIN}{random_id()}:{found.id}",
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
    """The other claims that were contested together with this one and stand still."""
    if not found.row["conflict_id"]:
        return []
    rows = await reading.all(_IN_CONFLICT, conflict=found.row["conflict_id"], but=found.id, **at(now_ms))
    return [one for one in (Referral(row, now_ms) for row in rows) if one.state in CLAIMING]


async def set_aside_the_others(change: Change, accepted: Referral, by: Subject) -> None:
    """Accepting one of several contested claims sets the others aside, the disclosed ones too.

    `OnHold` while one of them is held; `Conflicting` beside one that was won, which nothing takes back.
    """
    if accepted.stored is not State.CONFLICT_HOLD:
        return
    for other in await rivals_in_conflict(change.tx, accepted, change.now_ms):
        other.require_free()
        if other.state is State.WON:
            raise Conflicting(
                "rival_won",
                "Another referral of this person was won already.",
                field="/act",
                remedy="Decline this one.",
            )
        aside = await move(change, other, follow(other.state, Event.SET_ASIDE))
        enter_both(change, "referral_set_aside", by, aside)

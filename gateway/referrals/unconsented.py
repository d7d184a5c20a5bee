"""Referrals that wait for a consent in vain are cancelled, and no words outlive a person's withdrawal.

A referral waits for as long as somebody may still be asked. Refused, unanswered or withdrawn, its words are no use to
anybody: a later consent is for a later referral.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, case, delete, exists, or_, select, update
from sqlalchemy import Text as SQLText

from gateway.clock import MILLISECONDS, Clock
from gateway.consents.notice_text import DISCLOSURE
from gateway.consents.states import State as ConsentState
from gateway.consents.tables import consent, consent_record, live
from gateway.database import Database, Query
from gateway.ledger import Change, Ledger
from gateway.referrals.entries import GATEWAY, enter_both
from gateway.referrals.holding import held_for
from gateway.referrals.referral import Referral, at, ended_since, existing, of_the_person
from gateway.referrals.states import Event, State, follow
from gateway.referrals.tables import referral, referral_term
from gateway.referrals.writing import move

WAITING_S: Final = 30 * 24 * 3600
"""For so long a submitted referral waits for the person's consent."""
NO_CONSENT: Final = "no_consent"
"""Why it was cancelled. The entry and the referrer's view say no more than that."""
_NOW = bindparam("now", type_=BigInteger)
_MOST = bindparam("most", type_=BigInteger)


def _is_answered_no() -> ColumnElement[bool]:
    """Whether the newest question was refused, or has lapsed, since the submission, and no consent stands."""
    newest = (
        select(case((consent_record.c.changed_at >= referral.c.submitted_at, consent_record.c.state), else_=""))
        .where(
            consent_record.c.owner_id == referral.c.owner_id,
            consent_record.c.kind == DISCLOSURE,
            of_the_person(consent_record),
        )
        .order_by(consent_record.c.recorded_at.desc(), consent_record.c.id)
        .limit(1)
        .correlate(referral)
        .scalar_subquery()
    )
    no = [newest == state.value for state in (ConsentState.REFUSED, ConsentState.LAPSED)]
    return and_(or_(*no), ~exists().where(of_the_person(consent), live(consent, _NOW)))


def _in_vain() -> Select[tuple[str]]:
    is_over = or_(ended_since(), referral.c.preview == "")  # an erasure leaves no words, and needs no consent to end
    waited = referral.c.submitted_at <= (_NOW - WAITING_S) * MILLISECONDS
    ends_free = and_(held_for().is_(None), or_(waited, _is_answered_no()))  # a case stops the clock, and no withdrawal
    return select(referral.c.id).where(
        or_(
            and_(referral.c.state == State.DRAFT.value, is_over),
            and_(referral.c.state == State.CONSENT_PENDING.value, or_(is_over, ends_free)),
        )
    )


def _outliving() -> Select[tuple[str]]:
    has_terms = exists().where(referral_term.c.referral_id == referral.c.id)
    return select(referral.c.id).where(or_(referral.c.preview != "", has_terms), ended_since())


def _page(of: Select[tuple[str]]) -> Query:
    return Query(of.order_by(referral.c.id).limit(_MOST))


def _this(of: Select[tuple[str]]) -> Query:
    return Query(of.where(referral.c.id == bindparam("id", type_=SQLText)))


IN_VAIN: Final = _page(_in_vain())
"""Drafts and submissions that nobody consents to any more, by id."""
OUTLIVING: Final = _page(_outliving())
"""Referrals in whatever state with words or terms of a person that has withdrawn, by id."""
_IS_IN_VAIN: Final = _this(_in_vain())
_IS_OUTLIVING: Final = _this(_outliving())
_FORGET_WORDS: Final = Query(update(referral).where(referral.c.id == bindparam("the_id")).values(preview=""))
_FORGET_TERMS: Final = Query(delete(referral_term).where(referral_term.c.referral_id == bindparam("the_id")))


class Unconsented:
    """Cancels and forgets, one referral at a time, as often as it is asked."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def cancel(self, referral_id: str) -> bool:
        """Cancel one that waits in vain, and forget its words; False where it does not."""
        seen = await self._seen(referral_id)
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            if not await _is(_IS_IN_VAIN, change, referral_id):
                return False
            found = await existing(change.tx, referral_id, change.now_ms)
            ended = await move(change, found, follow(found.stored, Event.CANCEL), reason=NO_CONSENT, preview="")
            enter_both(change, "referral_cancelled", GATEWAY, ended, reason=NO_CONSENT)
        return True

    async def forget(self, referral_id: str) -> bool:
        """Forget the words and terms of one whose person has withdrawn; False where they are gone."""
        seen = await self._seen(referral_id)
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            if not await _is(_IS_OUTLIVING, change, referral_id):
                return False
            await change.tx.run(_FORGET_WORDS, the_id=referral_id)
            await change.tx.run(_FORGET_TERMS, the_id=referral_id)
        return True

    async def _seen(self, referral_id: str) -> Referral:
        return await existing(self._database, referral_id, self._clock())


async def _is(such: Query, change: Change, referral_id: str) -> bool:
    return await change.tx.one(such, id=referral_id, **at(change.now_ms)) is not None

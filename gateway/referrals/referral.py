"""A referral as it stands at an instant: its row, what the person's consent says, and the case that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, case, exists, func, or_, select
from sqlalchemy import Text as SQLText
from sqlalchemy.sql.expression import FromClause

from gateway.canonical import parse
from gateway.clock import MILLISECONDS, Clock, seconds
from gateway.consents.past import ANY
from gateway.consents.tables import consent, live, withdrawal
from gateway.database import Query, Reading, Row
from gateway.errors import NotFound, OnHold, Reason
from gateway.referrals.deadlines import due_anew
from gateway.referrals.finance import Finance, Value
from gateway.referrals.holding import freed_at, frozen_for, held_for, stopped_at
from gateway.referrals.policy import ReferralPolicy
from gateway.referrals.states import Standing, State, effective
from gateway.referrals.tables import referral
from gateway.vault.tables import subject_key

_ENDED_BY_SOMEBODY: Final = frozenset({"withdrawn", "revoked", "invalidated"})
_NOW = bindparam("now", type_=BigInteger)


def of_the_person(about: FromClause) -> ColumnElement[bool]:
    """Whether a row of `consent` or `consent_record` is about a referral's person, dataset, recipient and purpose."""
    return and_(
        about.c.dataset_no == referral.c.dataset_no,
        about.c.recipient_id == referral.c.recipient_id,
        about.c.purpose == referral.c.purpose,
        about.c.pseudonym == referral.c.pseudonym,
    )


def ended_since() -> ColumnElement[bool]:
    """Whether the person withdrew since the registration, or somebody ended the consent; before one, since the draft.

    A withdrawal counts whatever had become of the consent by then: used up or run out, it cannot end any more.
    """
    since = func.coalesce(referral.c.ready_at, referral.c.drafted_at)
    ended = exists().where(
        of_the_person(consent),
        or_(*(consent.c.end_kind == kind for kind in sorted(_ENDED_BY_SOMEBODY))),
        consent.c.ended_at * MILLISECONDS + MILLISECONDS > referral.c.ready_at,
    )
    withdrawn = exists().where(
        withdrawal.c.dataset_no == referral.c.dataset_no,
        withdrawal.c.pseudonym == referral.c.pseudonym,
        or_(withdrawal.c.recipient_id == ANY, withdrawal.c.recipient_id == referral.c.recipient_id),
        or_(withdrawal.c.purpose == ANY, withdrawal.c.purpose == referral.c.purpose),
        withdrawal.c.withdrawn_at * MILLISECONDS + MILLISECONDS > since,
    )
    return or_(ended, withdrawn)


def as_it_stands() -> Select[Any]:
    """Referrals with what the consent says at :now (epoch seconds), and the cases that hold them at :now_ms."""
    given = select(func.count()).where(of_the_person(consent), live(consent, _NOW)).correlate(referral)
    ended = (
        select(
            case(
                (consent.c.ended_at.is_not(None), consent.c.end_kind),
                (consent.c.expires_at <= _NOW, "expired"),
                else_="",
            )
        )
        .where(of_the_person(consent), consent.c.given_at <= _NOW)
        .order_by(consent.c.recorded_at.desc(), consent.c.id)
        .limit(1)
        .correlate(referral)
    )
    return select(
        referral,
        subject_key.c.key_version,
        subject_key.c.wrapped,
        given.scalar_subquery().label("consents"),
        ended.scalar_subquery().label("consent_end"),
        ended_since().label("ended_since"),
        held_for().label("held_for"),
        frozen_for().label("frozen_for"),
        stopped_at().label("stopped_at"),
        freed_at().label("freed_at"),
    ).outerjoin_from(referral, subject_key, subject_key.c.id == referral.c.subject_key_id)


def at(now_ms: int) -> dict[str, int]:
    """The instant as `as_it_stands` takes it."""
    return {"now": seconds(now_ms), "now_ms": now_ms}


_BY_ID = Query(as_it_stands().where(referral.c.id == bindparam("id", type_=SQLText)))


@dataclass(frozen=True)
class Referral:
    """One referral, read at `now_ms`."""

    row: Row
    now_ms: int

    @property
    def id(self) -> str:
        """Random; says nothing about whom it names."""
        return str(self.row["id"])

    @property
    def owner(self) -> str:
        """The referrer: the member whose customer it is."""
        return str(self.row["owner_id"])

    @property
    def recipient(self) -> str:
        """The member that the customer is referred to."""
        return str(self.row["recipient_id"])

    @property
    def stored(self) -> State:
        """The state that was last written."""
        return State(self.row["state"])

    @property
    def is_withdrawn(self) -> bool:
        """Whether the person has withdrawn since, or somebody ended the consent, wherever the referral is by now."""
        return bool(self.row["ended_since"])

    @cached_property
    def standing(self) -> Standing:
        """What the person's consent says; once it was withdrawn, a later one is for a later referral."""
        if self.is_withdrawn:
            return Standing.WITHDRAWN
        if self.row["consents"]:
            return Standing.GIVEN
        if self.row["consent_end"] in _ENDED_BY_SOMEBODY:
            return Standing.WITHDRAWN
        return Standing.EXPIRED if self.row["consent_end"] == "expired" else Standing.NONE

    @cached_property
    def state(self) -> State:
        """Where it really is: see `states.effective`."""
        return self._effective(self.stored)

    @cached_property
    def state_for_referrer(self) -> State:
        """As `state`; what was set aside without a word is on offer until the offer would have ended."""
        return self._effective(State.OFFERED) if self.is_hidden else self.state

    @property
    def is_hidden(self) -> bool:
        """Whether the referrer is not to learn that it was set aside."""
        is_timed = self.row["due_at"] is not None  # as an offer is; whoever was told has nothing to wait for
        return self.stored is State.DUPLICATE and is_timed

    @cached_property
    def policy(self) -> ReferralPolicy:
        """The policy that it was registered under, the default before that."""
        text = self.row["policy"]
        return ReferralPolicy.read(parse(text.encode())) if text else ReferralPolicy()

    @property
    def finance(self) -> Finance:
        """Where its value is."""
        return Finance(self.row["finance"])

    @property
    def value(self) -> Value | None:
        """What the conversion was worth, as the recipient reported it."""
        return Value(self.row["value_minor"], self.row["value_currency"]) if self.row["value_minor"] else None

    @property
    def held_for(self) -> str | None:
        """The case that holds it."""
        return None if self.row["held_for"] is None else str(self.row["held_for"])

    @property
    def frozen_for(self) -> str | None:
        """The case that holds what it was made under: the recipient is given nothing more by it."""
        return None if self.row["frozen_for"] is None else str(self.row["frozen_for"])

    @property
    def case(self) -> str | None:
        """The case that holds it, or what it was made under: the recipient is shown nothing of the person."""
        return self.held_for or self.frozen_for

    @cached_property
    def due_at(self) -> int | None:
        """Until when somebody has to act; None while its clock stands still, which begins anew when it is freed.

        What was over before a case came stays so.
        """
        if not self._was_stopped:
            return None if self.row["due_at"] is None else int(self.row["due_at"])
        return None if self._is_stopped else due_anew(self.stored, self.policy, self.row["freed_at"])

    @property
    def due_kept(self) -> int | None:
        """The deadline to write down where none begins: `due_at`, or the one that a case has stopped."""
        return self.due_at or self.row["due_at"]

    @property
    def is_freed(self) -> bool:
        """Whether its clock has begun anew, and nothing has written that down yet."""
        return self._was_stopped and not self._is_stopped

    @property
    def _was_stopped(self) -> bool:
        due, stopped = self.row["due_at"], self.row["stopped_at"]
        is_timed = due is not None or self.stored is State.CONFLICT_HOLD
        return is_timed and stopped is not None and (due is None or stopped < due)

    @property
    def _is_stopped(self) -> bool:
        """Of what was stopped, whether it still is."""
        return bool(self.now_ms < self.row["freed_at"])

    def require_free(self) -> None:
        """`OnHold` while a case holds it (clause 7.2.3): this line stands still, and no other."""
        _require_none(self.held_for)

    def require_unfrozen(self) -> None:
        """`OnHold` while a case holds what it was made under."""
        _require_none(self.frozen_for)

    def _effective(self, state: State) -> State:
        return effective(state, self.standing, due_at=self.due_at, now_ms=self.now_ms)


def _require_none(case: str | None) -> None:
    if case is not None:
        raise OnHold((Reason("DISPUTED_ITEM", "7.2.3"),), case)


async def existing(reading: Reading, referral_id: str, now_ms: int) -> Referral:
    """A referral of whatever member, or `NotFound`."""
    row = await reading.one(_BY_ID, id=referral_id, **at(now_ms))
    if row is None:
        raise NotFound
    return Referral(row, now_ms)


async def of_party(reading: Reading, referral_id: str, member: str, now_ms: int) -> Referral:
    """A referral that the member made, or that was offered to it; for anyone else `NotFound`, as if there were none."""
    found = await existing(reading, referral_id, now_ms)
    if member == found.owner or (member == found.recipient and found.row["offered_at"] is not None):
        return found
    raise NotFound


async def is_partys_under(clock: Clock, reading: Reading, referral_id: str, member: str, agreement: str) -> bool:
    """Whether it is a referral under this agreement that the member made, or that was offered to it."""
    try:
        found = await of_party(reading, referral_id, member, clock())
    except NotFound:
        return False
    return bool(found.row["agreement_id"] == agreement)

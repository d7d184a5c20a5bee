"""The life of a referral, as data: from which state which event leads where.

The table is all there is: the diagram in the guide is written from it, the tests walk through it, and no act moves a
referral but by `follow`. Stored state and clock are not enough to know where a referral is: see `effective`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.errors import Conflicting


class State(StrEnum):
    """Where a referral is."""

    DRAFT = "draft"
    CONSENT_PENDING = "consent_pending"
    READY = "ready"
    OFFERED = "offered"
    NEEDS_INFO = "needs_info"
    CONFLICT_HOLD = "conflict_hold"
    ACCEPTED = "accepted"
    DISCLOSED = "disclosed"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    WON = "won"
    LOST = "lost"
    UNQUALIFIED = "unqualified"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What moves it: acts of the referrer, acts of the recipient, and what the gateway finds."""

    SUBMIT = "submit"
    ANSWER = "answer"
    CANCEL = "cancel"
    ACCEPT = "accept"
    DECLINE = "decline"
    ASK = "ask"
    DISCLOSE = "disclose"
    CONTACT = "contact"
    UPDATE = "update"
    QUALIFY = "qualify"
    UNQUALIFY = "unqualify"
    WIN = "win"
    LOSE = "lose"
    REGISTER = "register"
    OFFER = "offer"
    SET_ASIDE = "set_aside"
    CONTEST = "contest"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"


class Standing(StrEnum):
    """What the person's consent to this recipient for this purpose says now."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    NONE = "none"


_UNDISCLOSED: Final = (State.READY, State.OFFERED, State.NEEDS_INFO, State.CONFLICT_HOLD, State.ACCEPTED)
WORKED_ON: Final = (State.DISCLOSED, State.CONTACTED, State.QUALIFIED)
"""States in which the recipient has the person's data and works with it."""

OPEN: Final = frozenset({*_UNDISCLOSED, *WORKED_ON})
"""States in which it holds a place with the recipient, and a withdrawal or a deadline ends it."""
BEFORE_DISCLOSURE: Final = frozenset(_UNDISCLOSED)
CLAIMING: Final = OPEN | {State.WON}
"""States in which it stands against a later referral of the same person, while it is protected."""
CLOSED: Final = frozenset({State.WON, State.LOST, State.UNQUALIFIED})
"""How it ends for a person whose data was disclosed, who is told so."""

_ALONE: Final[Mapping[tuple[State, Event], State]] = {
    (State.DRAFT, Event.SUBMIT): State.CONSENT_PENDING,
    (State.CONSENT_PENDING, Event.REGISTER): State.READY,
    (State.READY, Event.OFFER): State.OFFERED,
    (State.OFFERED, Event.ASK): State.NEEDS_INFO,
    (State.NEEDS_INFO, Event.ANSWER): State.OFFERED,
    (State.OFFERED, Event.ACCEPT): State.ACCEPTED,
    (State.CONFLICT_HOLD, Event.ACCEPT): State.ACCEPTED,
    (State.OFFERED, Event.DECLINE): State.DECLINED,
    (State.CONFLICT_HOLD, Event.DECLINE): State.DECLINED,
    (State.ACCEPTED, Event.DISCLOSE): State.DISCLOSED,
    (State.DISCLOSED, Event.DISCLOSE): State.DISCLOSED,
    (State.DISCLOSED, Event.CONTACT): State.CONTACTED,
    (State.CONTACTED, Event.UPDATE): State.CONTACTED,
    (State.QUALIFIED, Event.UPDATE): State.QUALIFIED,
    (State.CONTACTED, Event.QUALIFY): State.QUALIFIED,
    (State.CONTACTED, Event.UNQUALIFY): State.UNQUALIFIED,
    (State.QUALIFIED, Event.UNQUALIFY): State.UNQUALIFIED,
    (State.QUALIFIED, Event.WIN): State.WON,
    (State.QUALIFIED, Event.LOSE): State.LOST,
    (State.DRAFT, Event.CANCEL): State.CANCELLED,
    (State.CONSENT_PENDING, Event.CANCEL): State.CANCELLED,
}
_SET_ASIDE_LIKE_AN_OFFER: Final = {
    (State.DUPLICATE, Event.CANCEL): State.CANCELLED,
    (State.DUPLICATE, Event.EXPIRE): State.EXPIRED,
    (State.DUPLICATE, Event.WITHDRAW): State.WITHDRAWN,
}
"""Whoever is not told that it was set aside sees it end as an offer that nobody answered."""

STEPS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        **_ALONE,
        **_SET_ASIDE_LIKE_AN_OFFER,
        **{(state, Event.CANCEL): State.CANCELLED for state in _UNDISCLOSED},
        **{(state, Event.SET_ASIDE): State.DUPLICATE for state in (*_UNDISCLOSED, *WORKED_ON)},
        **{(state, Event.CONTEST): State.CONFLICT_HOLD for state in _UNDISCLOSED},
        **{(state, Event.EXPIRE): State.EXPIRED for state in (*_UNDISCLOSED, *WORKED_ON)},
        **{(state, Event.WITHDRAW): State.WITHDRAWN for state in (*_UNDISCLOSED, *WORKED_ON)},
    }
)


REFERRERS: Final = frozenset({Event.SUBMIT, Event.ANSWER, Event.CANCEL})
"""The referrer's acts."""
RECIPIENTS: Final = frozenset(
    {
        *(Event.ACCEPT, Event.DECLINE, Event.ASK, Event.DISCLOSE, Event.CONTACT, Event.UPDATE),
        *(Event.QUALIFY, Event.UNQUALIFY, Event.WIN, Event.LOSE),
    }
)
"""The recipient's acts."""


def follow(state: State, event: Event) -> State:
    """The state that an event leads to; `Conflicting` names what the same side could do instead."""
    following = STEPS.get((state, event))
    if following is None:
        side = REFERRERS if event in REFERRERS else RECIPIENTS
        possible = sorted({known.value for at, known in STEPS if at is state and known in side})
        raise Conflicting(
            "wrong_state",
            "The referral is in no state for this.",
            field="/act",
            remedy=f"Possible: {', '.join(possible)}." if possible else "Nothing more is to do for you.",
        )
    return following


def effective(state: State, standing: Standing, *, due_at: int | None, now_ms: int) -> State:
    """Where it really is at an instant: the consent and the clock decide, however late the background work comes.

    A withdrawal ends it wherever it is open; a consent that has run out, before the data is disclosed; a deadline, at
    the very millisecond.
    """
    ends = (state, Event.EXPIRE) in STEPS
    if ends and standing is Standing.WITHDRAWN:
        return State.WITHDRAWN
    if ends and standing is Standing.EXPIRED and state not in WORKED_ON:
        return State.EXPIRED
    if ends and due_at is not None and now_ms >= due_at:
        return State.EXPIRED
    return state

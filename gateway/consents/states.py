"""The life of one consent item: which steps there are, and what the clock makes of where it stands.

The table is data. The guide's diagram is drawn from it, and so are the property tests: no way leads from a state that
has ended to GIVEN, and only GIVEN permits.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from gateway.errors import Conflicting


class State(StrEnum):
    """Where an item stands."""

    DRAFT = "draft"
    REQUESTED = "requested"
    DEFERRED = "deferred"
    LAPSED = "lapsed"
    REFUSED = "refused"
    GUARDIAN_PENDING = "guardian_pending"
    IMPORTED = "imported"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    CONSUMED = "consumed"
    STALE = "stale"
    SUPERSEDED = "superseded"
    ON_HOLD = "on_hold"


class Event(StrEnum):
    """What happens to an item."""

    SEND = "send"
    """The person is asked, or reminded once."""
    SERVE = "serve"
    """The notice was shown; this decides nothing."""
    CLOSE = "close"
    """The person looked and did not decide."""
    REFUSE = "refuse"
    GIVE = "give"
    LAPSE = "lapse"
    NEED_GUARDIAN = "need_guardian"
    IMPORT = "import"
    """The owner brings a consent on paper; it permits nothing yet."""
    RECORD = "record"
    """The owner states a consent that it took down itself, with its evidence."""
    CONFIRM = "confirm"
    """A guardian gives, or an imported consent is confirmed."""
    AMEND = "amend"
    """The person takes fields out of what stands; more fields are a new consent."""
    WITHDRAW = "withdraw"
    """By the person. By anybody else it is REVOKE."""
    REVOKE = "revoke"
    EXPIRE = "expire"
    INVALIDATE = "invalidate"
    CONSUME = "consume"
    AGE = "age"
    """What the person was told is true no more: a new notice, another recipient, the 14th birthday."""
    SUPERSEDE = "supersede"
    HOLD = "hold"
    LIFT = "lift"


_S, _E = State, Event
_ENDS = {
    _E.WITHDRAW: _S.WITHDRAWN,
    _E.REVOKE: _S.REVOKED,
    _E.EXPIRE: _S.EXPIRED,
    _E.INVALIDATE: _S.INVALIDATED,
}

STEPS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        _S.DRAFT: {_E.SEND: _S.REQUESTED, _E.IMPORT: _S.IMPORTED, _E.RECORD: _S.GIVEN},
        _S.REQUESTED: {
            _E.SEND: _S.REQUESTED,
            _E.SERVE: _S.REQUESTED,
            _E.GIVE: _S.GIVEN,
            _E.REFUSE: _S.REFUSED,
            _E.CLOSE: _S.DEFERRED,
            _E.NEED_GUARDIAN: _S.GUARDIAN_PENDING,
            _E.LAPSE: _S.LAPSED,
        },
        _S.DEFERRED: {
            _E.SEND: _S.REQUESTED,
            _E.SERVE: _S.REQUESTED,
            _E.REFUSE: _S.REFUSED,
            _E.LAPSE: _S.LAPSED,
        },
        _S.GUARDIAN_PENDING: {
            _E.SEND: _S.GUARDIAN_PENDING,
            _E.SERVE: _S.GUARDIAN_PENDING,
            _E.CONFIRM: _S.GIVEN,
            _E.REFUSE: _S.REFUSED,
            _E.LAPSE: _S.LAPSED,
        },
        _S.IMPORTED: {
            _E.SEND: _S.IMPORTED,
            _E.SERVE: _S.IMPORTED,
            _E.CONFIRM: _S.GIVEN,
            _E.REFUSE: _S.REFUSED,
            **_ENDS,
        },
        _S.GIVEN: {
            **_ENDS,
            _E.AMEND: _S.GIVEN,
            _E.CONSUME: _S.CONSUMED,
            _E.AGE: _S.STALE,
            _E.SUPERSEDE: _S.SUPERSEDED,
            _E.HOLD: _S.ON_HOLD,
        },
        _S.STALE: {**_ENDS, _E.SUPERSEDE: _S.SUPERSEDED},
        _S.ON_HOLD: {**_ENDS, _E.AGE: _S.STALE, _E.CONSUME: _S.CONSUMED, _E.LIFT: _S.GIVEN},
    }
)
"""Every step there is. A state without steps has ended: renewal is a new record."""

ENDED = frozenset(state for state in State if state not in STEPS)
STANDING = frozenset({_S.GIVEN, _S.STALE, _S.ON_HOLD})
"""The states of what was given and has not ended."""
WITHDRAWABLE = frozenset({_S.CONSUMED, _S.EXPIRED, *(state for state, steps in STEPS.items() if _E.WITHDRAW in steps)})
"""The states in which a withdrawal reaches somebody: of what was used up or ran out, whoever received it."""


def follow(state: State, event: Event) -> State:
    """Where a step leads; `Conflicting` where the table has none."""
    reached = STEPS.get(state, {}).get(event)
    if reached is None:
        raise Conflicting(
            "wrong_state",
            f"A consent that is {state} cannot take the step {event}.",
            field="/state",
            remedy="Ask anew: what has ended does not stand again." if state in ENDED else None,
        )
    return reached


def effective(
    state: State,
    *,
    given_at: int | None,
    expires_at: int | None,
    uses_left: int | None,
    now_s: int,
    stale_at: int | None = None,
) -> State:
    """Where an item stands at an instant: stored state and clock together, so that a late job never permits.

    Before it is given, `expires_at` is until when it can be. What this clock has yet to see given is as good as asked.
    """
    if state is State.GIVEN and given_at is not None and given_at > now_s:
        return State.REQUESTED
    overtaken = overtaking(state, expires_at=expires_at, uses_left=uses_left, now_s=now_s, stale_at=stale_at)
    return state if overtaken is None else follow(state, overtaken)


def overtaking(
    state: State,
    *,
    expires_at: int | None,
    uses_left: int | None,
    now_s: int,
    stale_at: int | None = None,
) -> Event | None:
    """The step that the clock has taken and nobody has recorded yet."""
    steps = STEPS.get(state, {})
    reached = {
        _E.CONSUME: uses_left is not None and uses_left <= 0,
        _E.EXPIRE: expires_at is not None and expires_at <= now_s,
        _E.LAPSE: expires_at is not None and expires_at <= now_s,
        _E.AGE: stale_at is not None and stale_at <= now_s,
    }
    return next((event for event, has_come in reached.items() if has_come and event in steps), None)

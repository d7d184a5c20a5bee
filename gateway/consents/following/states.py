"""Where a follow-up stands, as data; what answers it; and by when.

A recipient may answer before the message reached it, so each answer is possible from every state before it. `failed`
is retried. A follow-up is *overdue* by the clock, whatever it stands at, until it is complied with; what was settled
as overdue stays on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.business_days import end_of_business_day
from gateway.clock import MILLISECONDS, seconds
from gateway.database import Row
from gateway.errors import Conflicting


class State(StrEnum):
    """Where a follow-up stands. `OVERDUE` is never stored."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    COMPLIED = "complied"
    VERIFIED = "verified"
    OVERDUE = "overdue"


class Step(StrEnum):
    """What moves it."""

    SEND = "send"
    FAIL = "fail"
    DELIVER = "deliver"
    ACKNOWLEDGE = "acknowledge"
    COMPLY = "comply"
    VERIFY = "verify"


class Way(StrEnum):
    """How a recipient complied."""

    DELETED = "deleted"
    ANONYMISED = "anonymised"
    RESTRICTED = "restricted"
    RETAINED = "retained"
    CORRECTED = "corrected"
    NEVER_RECEIVED = "never_received"


_UNANSWERED: Final = (State.QUEUED, State.SENT, State.FAILED, State.DELIVERED)
UNMET: Final = (*_UNANSWERED, State.ACKNOWLEDGED)
"""States that can become overdue."""

STEPS: Final[Mapping[tuple[State, Step], State]] = MappingProxyType(
    {
        (State.QUEUED, Step.SEND): State.SENT,
        (State.SENT, Step.SEND): State.SENT,  # by a process that ended before it heard the answer
        (State.FAILED, Step.SEND): State.SENT,
        (State.QUEUED, Step.FAIL): State.FAILED,  # there is no address
        (State.SENT, Step.FAIL): State.FAILED,
        (State.SENT, Step.DELIVER): State.DELIVERED,
        (State.FAILED, Step.DELIVER): State.DELIVERED,
        **{(state, Step.ACKNOWLEDGE): State.ACKNOWLEDGED for state in _UNANSWERED},
        **{(state, Step.COMPLY): State.COMPLIED for state in UNMET},
        (State.COMPLIED, Step.VERIFY): State.VERIFIED,
    }
)

_ERASING: Final = (Way.DELETED, Way.ANONYMISED, Way.RESTRICTED, Way.RETAINED, Way.NEVER_RECEIVED)
WAYS: Final[Mapping[str, tuple[Way, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("withdrawn", "revoked", "expired", "invalidated", "stale", "amended", "erased"), _ERASING),
        "corrected": (Way.CORRECTED, *_ERASING),
    }
)
"""The causes that are followed, and by which ways each is complied with. What ends in another way is not followed."""

REMINDERS: Final = (50, 80, 95)
"""Per cent of the time to comply after which the recipient is reminded."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Business days of the rulebook's calendar to acknowledge and to comply, and calendar days after which it ends."""

    acknowledge: int = 1
    comply: int = 3
    hard_stop: int = 15

    def of(self, now_ms: int) -> tuple[int, int]:
        """By when (ms) what begins now is to be acknowledged, and complied with."""
        now_s = seconds(now_ms)
        stop = now_s + self.hard_stop * 24 * 3600
        by_days = [min(end_of_business_day(now_s, days), stop) for days in (self.acknowledge, self.comply)]
        return by_days[0] * MILLISECONDS, by_days[1] * MILLISECONDS


def follow(state: State, step: Step) -> State:
    """The state that a step leads to; `Conflicting` where it leads nowhere."""
    following = STEPS.get((state, step))
    if following is None:
        raise Conflicting("wrong_state", f"It is {state} already.", field="state")
    return following


def before(step: Step) -> tuple[State, ...]:
    """The states that a step may be taken from."""
    return tuple(state for state, one in STEPS if one is step)


def due_by(row: Row) -> int:
    """By when (ms) the next answer to a follow-up is due."""
    return int(row["comply_by"] if row["acknowledged_at"] is not None else row["acknowledge_by"])


def effective(row: Row, now_ms: int) -> State:
    """Where a follow-up stands at an instant: what is stored, and the clock."""
    state = State(row["state"])
    return State.OVERDUE if state in UNMET and now_ms > due_by(row) else state

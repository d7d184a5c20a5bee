"""The life of a request, as data: from which state which step leads where, and what each kind asks of others."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.errors import Conflicting, Invalid


class RightKind(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    COPY = "copy"
    CORRECTION = "correction"
    DELETION = "deletion"
    RESTRICTION = "restriction"
    TRANSFER = "transfer"
    EXPLANATION = "explanation"
    OBJECTION = "objection"
    COMPLAINT = "complaint"


class RequestState(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    """Nobody has shown yet who asks."""
    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"
    RESTRICTED = "restricted"
    """What is to be deleted is kept for a case, stored and protected only (PIPL 47), until the case is decided."""
    RETRACTED = "retracted"
    """Whoever asked asks no more: what it held stands again."""


class Step(StrEnum):
    """What happens to a request."""

    IDENTIFY = "identify"
    EXTEND = "extend"
    ANSWER = "answer"
    REFUSE = "refuse"
    RESTRICT = "restrict"
    RETRACT = "retract"
    END = "end"
    """The person ends a restriction that it was granted."""


_R, _S = RequestState, Step
STEPS: Final[Mapping[RequestState, Mapping[Step, RequestState]]] = MappingProxyType(
    {
        _R.RECEIVED: {_S.IDENTIFY: _R.OPEN, _S.REFUSE: _R.REFUSED, _S.RETRACT: _R.RETRACTED},
        _R.OPEN: {
            _S.EXTEND: _R.OPEN,
            _S.ANSWER: _R.ANSWERED,
            _S.REFUSE: _R.REFUSED,
            _S.RESTRICT: _R.RESTRICTED,
            _S.RETRACT: _R.RETRACTED,
        },
        _R.RESTRICTED: {_S.ANSWER: _R.ANSWERED, _S.RETRACT: _R.RETRACTED},
        _R.ANSWERED: {_S.END: _R.RETRACTED},
    }
)
HOLDING: Final = frozenset({(RightKind.RESTRICTION, _R.ANSWERED), (RightKind.DELETION, _R.RESTRICTED)})
"""The kinds and states in which a request keeps the person's consents on hold."""
WAITING: Final = (_R.RECEIVED, _R.OPEN)
"""The states in which a clock runs."""

ASKED_WHEN_OPEN: Final = frozenset({RightKind.ACCESS, RightKind.COPY, RightKind.EXPLANATION})
"""Kinds of which every recipient is asked as soon as it is known who asks."""
ASKED_WHEN_GRANTED: Final = frozenset({RightKind.RESTRICTION, RightKind.OBJECTION})
"""Kinds of which every recipient is told once they are granted. Deletions and corrections are followed otherwise."""
EXPORTED: Final = frozenset({RightKind.ACCESS, RightKind.COPY, RightKind.TRANSFER})
"""Kinds whose answer is an export."""

REFUSALS: Final = (
    "identity_not_shown",
    "not_this_person",
    "kept_by_law",
    "rights_of_others",
    "not_feasible",
    "no_such_data",
    "excessive",
)
"""The reasons for which a request may be refused; one at least is told."""

EXTENSIONS: Final = ("complex", "many")
"""Why a clock may be extended (GDPR 12(3)): the complexity, or the number, of requests."""

TRANSFER_CHECKS: Final = ("identity", "basis", "feasible", "others")
"""Order 790 Art. 25: the person is verified; what is asked for was given by consent or for a contract; it can be done;
nobody else's rights are harmed."""


def after(state: RequestState, step: Step) -> RequestState:
    """The state that a step leads to, or `Conflicting`."""
    following = STEPS.get(state, {}).get(step)
    if following is None:
        raise Conflicting("wrong_state", f"A request that is {state} cannot take the step {step}.", field="/state")
    return following


def taken_back_by(kind: RightKind, state: RequestState) -> Step:
    """The step by which a request is taken back, if there is one from this state: what restricts is ended."""
    return Step.END if (kind, state) == (RightKind.RESTRICTION, RequestState.ANSWERED) else Step.RETRACT


def can_be_taken_back(kind: RightKind, state: RequestState) -> bool:
    """Whether whoever asked can still ask no more."""
    return taken_back_by(kind, state) in STEPS.get(state, {})


def kind_of(given: object) -> RightKind:
    """A kind by its name, or `Invalid`."""
    try:
        return RightKind(str(given))
    except ValueError:
        raise Invalid("unknown_kind", f"The kinds are {', '.join(RightKind)}.", field="/kind") from None

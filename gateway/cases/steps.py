"""The states of each kind of case, as data: from which state which step leads where, and who takes it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.errors import Conflicting


class CaseKind(StrEnum):
    """What a case is about, each with its clause."""

    DISPUTE = "dispute"
    BREACH = "breach"
    LEAK = "leak"
    INVESTIGATION = "investigation"

    @property
    def clause(self) -> str:
        """The rulebook's clause."""
        return _CLAUSES[self]


_CLAUSES: Final = {
    CaseKind.DISPUTE: "7.2.1",
    CaseKind.BREACH: "9.1.1",
    CaseKind.LEAK: "9.1.2",
    CaseKind.INVESTIGATION: "9.1.3",
}

_CLAUSES_OF_ORIGINS: Final = {"withdrawal": "9.1.2"}

FIRST: Final[Mapping[CaseKind, str]] = MappingProxyType(
    {
        CaseKind.DISPUTE: "negotiating",
        CaseKind.BREACH: "candidate",
        CaseKind.LEAK: "reported",
        CaseKind.INVESTIGATION: "investigating",
    }
)
"""The state that a case is opened in."""

STEPS: Final[Mapping[CaseKind, Mapping[tuple[str, str], str]]] = MappingProxyType(
    {
        CaseKind.DISPUTE: {
            ("negotiating", "escalate"): "escalated",
            ("negotiating", "resolve"): "resolved",
            ("escalated", "resolve"): "resolved",
        },
        CaseKind.BREACH: {
            ("candidate", "confirm"): "confirmed",
            ("candidate", "excuse"): "excused",
            ("confirmed", "cure"): "cured",
        },
        CaseKind.LEAK: {
            ("reported", "confirm"): "confirmed",
            ("reported", "dismiss"): "dismissed",
            ("confirmed", "cure"): "cured",
        },
        CaseKind.INVESTIGATION: {
            ("investigating", "confirm"): "confirmed",
            ("investigating", "dismiss"): "dismissed",
        },
    }
)

BY_ONE: Final = frozenset(
    {
        (CaseKind.BREACH, "confirm"),
        (CaseKind.BREACH, "excuse"),
        (CaseKind.BREACH, "cure"),
        (CaseKind.LEAK, "cure"),
    }
)
"""What the secretariat does alone: none of it gives or takes access. Everything else takes two operators."""

LIFTING: Final = frozenset({"resolve", "dismiss"})
"""Steps after which nothing is held for the case any more."""

FINAL: Final = frozenset({"resolved", "dismissed", "excused", "cured"})
"""States in which a case is decided for good."""

CONFIRMED: Final = ("confirmed", "cured")
"""States that count against the respondent: what was cured in time still counts (clause 9.2.1)."""


def clause_of(kind: CaseKind, origin: str) -> str:
    """The clause of a case: its kind's, but 9.1.2 for who went on holding what a withdrawal had ended."""
    return _CLAUSES_OF_ORIGINS.get(origin.partition(":")[0], kind.clause)


def after(kind: CaseKind, state: str, step: str) -> str:
    """The state that a step leads to; `Conflicting` names those that are possible."""
    following = STEPS[kind].get((state, step))
    if following is None:
        possible = sorted(known for where, known in STEPS[kind] if where == state)
        raise Conflicting(
            "step_not_possible",
            f"A {kind} that is {state} cannot take this step.",
            field="step",
            remedy=f"Possible: {', '.join(possible)}." if possible else "The case is decided.",
        )
    return following

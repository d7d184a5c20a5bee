"""What is reported about a referral's worth: states, in minor units of one currency. No money moves here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from gateway.agreements.fields import matching, members, whole
from gateway.errors import Conflicting, Invalid

CURRENCY: Final = "[A-Z]{3}"
LARGEST: Final = 10**15


class Finance(StrEnum):
    """Where the reported value is on its way from a conversion to its settlement."""

    NONE = "none"
    ACCRUED = "accrued"
    ON_HOLD = "on_hold"
    PAYABLE = "payable"
    SETTLED = "settled"
    CLAWED_BACK = "clawed_back"


STEPS: Final[Mapping[tuple[Finance, str], Finance]] = MappingProxyType(
    {
        (Finance.NONE, "accrue"): Finance.ACCRUED,
        (Finance.ACCRUED, "hold"): Finance.ON_HOLD,
        (Finance.ACCRUED, "release"): Finance.PAYABLE,
        (Finance.ON_HOLD, "release"): Finance.PAYABLE,
        (Finance.PAYABLE, "hold"): Finance.ON_HOLD,
        (Finance.PAYABLE, "settle"): Finance.SETTLED,
        **{
            (state, "claw_back"): Finance.CLAWED_BACK
            for state in (Finance.ACCRUED, Finance.ON_HOLD, Finance.PAYABLE, Finance.SETTLED)
        },
    }
)
"""Whatever is on hold has an exit: it is released, or clawed back."""


@dataclass(frozen=True, slots=True)
class Value:
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str

    @classmethod
    def read(cls, given: Any, at: str = "/value") -> Value:
        """From `{"minor", "currency"}`, or `Invalid` with the place."""
        members(given, ("minor", "currency"), at)
        return cls(
            whole(given["minor"], f"{at}/minor", 1, LARGEST), matching(given["currency"], f"{at}/currency", CURRENCY)
        )

    def within(self, accrued: Value, at: str = "/value") -> None:
        """`Invalid` unless it is no more than was accrued, in the same currency."""
        if self.currency != accrued.currency or self.minor > accrued.minor:
            raise Invalid(
                "more_than_accrued",
                "No more is clawed back than was accrued, in its currency.",
                field=at,
                remedy="Name at most the value of the conversion.",
            )


def follow(state: Finance, step: str) -> Finance:
    """The state that a step leads to; `Conflicting` names the steps that are possible."""
    following = STEPS.get((state, step))
    if following is None:
        possible = sorted(known for at, known in STEPS if at is state)
        raise Conflicting(
            "wrong_state",
            "The value is in no state for this.",
            field="/step",
            remedy=f"Possible: {', '.join(possible)}." if possible else "Nothing more is reported about it.",
        )
    return following

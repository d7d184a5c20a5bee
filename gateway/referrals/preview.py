"""The masked preview of a referral: what a recipient sees of a person before it has accepted, and nothing else.

Three short values that name nobody: city, need, budget band. A text that points at a person is refused, together with
its neighbours too, so that no number is smuggled in pieces. What no detector knows, a name, is caught by counting: a
value is shown only where at least k persons share it (`gateway.referrals.cohorts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway.agreements.fields import members, text
from gateway.catalog.identifying import kind_of
from gateway.characters import normalised, shown_as_written
from gateway.errors import Invalid

PARTS: Final = ("city", "need", "budget")
LONGEST: Final = 64
MOST_DIGITS: Final = 8
"""In a row: enough for a budget, too few for a telephone number."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Its values in compatible characters (NFKC), so that equal ones are equal."""

    city: str
    need: str
    budget: str

    @classmethod
    def read(cls, given: Any, at: str = "/preview") -> Preview:
        """From an object of all three, or `Invalid` that never quotes a value."""
        members(given, PARTS, at)
        found = cls(*(_value(given[name], f"{at}/{name}") for name in PARTS))
        values = [getattr(found, name) for name in PARTS]
        for joint in ("", " "):
            _refuse_identifying(joint.join(values), at)
        return found

    def shown(self, first: int) -> dict[str, str | None]:
        """The first so many of its values; the others are None."""
        return {name: getattr(self, name) if place < first else None for place, name in enumerate(PARTS)}


def _value(given: Any, at: str) -> str:
    value = normalised(text(given, at))
    if not 0 < len(value) <= LONGEST or value != value.strip():
        raise Invalid("preview_malformed", f"This must be 1 to {LONGEST} characters.", field=at)
    shown_as_written(value, at)
    _refuse_identifying(value, at)
    return value


def _refuse_identifying(value: str, at: str) -> None:
    kind = kind_of(value)
    digits = "".join(part for part in value if not (part.isspace() or part in "-._/()"))
    if kind is None and _longest_number(digits) > MOST_DIGITS:
        kind = "number that may name somebody"
    if kind is None and "@" in value:
        kind = "address"
    if kind is not None:
        raise Invalid(
            "preview_identifying",
            f"The preview holds a {kind}.",
            field=at,
            remedy="Say what is wanted, not by whom.",
        )


def _longest_number(value: str) -> int:
    longest = run = 0
    for part in value:
        run = run + 1 if part.isdigit() else 0
        longest = max(longest, run)
    return longest

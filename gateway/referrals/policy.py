"""What two members agree on about the referrals between them: deadlines, who counts, and what is told.

Every agreement has these values; where the parties state none, the defaults hold. Hours are those of business days
(`gateway.business_days`), days are calendar days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

from gateway.agreements.fields import choice, items, members, whole
from gateway.canonical import canonical
from gateway.clock import MILLISECONDS
from gateway.errors import Invalid

BASIS_POINTS: Final = 10_000
MOST_SHARES: Final = 8
DAY_MS: Final = 24 * 3600 * MILLISECONDS


class Rule(StrEnum):
    """Whose referral counts where several members refer the same person to one recipient."""

    FIRST_REGISTERED = "first_registered"
    LAST_TOUCH = "last_touch"
    SPLIT = "split"
    COMMITTEE = "committee"


class Tells(StrEnum):
    """What a referrer learns when its referral counts for nothing because the person is known already."""

    NOTHING = "nothing"
    """It ends as an offer that nobody answered."""
    OUTCOME = "outcome"
    REASON = "reason"


RANGES: Final = {
    "k": (2, 1000),
    "accept_hours": (1, 720),
    "contact_hours": (1, 720),
    "update_days": (1, 90),
    "protection_days": (1, 730),
    "attribution_days": (1, 1095),
}


@dataclass(frozen=True, slots=True)
class ReferralPolicy:
    """`k` persons share what a preview shows; `weights` are the shares of `split`, of the first one first."""

    rule: Rule = Rule.FIRST_REGISTERED
    weights: tuple[int, ...] = ()
    tells: Tells = Tells.NOTHING
    k: int = 5
    accept_hours: int = 24
    contact_hours: int = 48
    update_days: int = 14
    protection_days: int = 90
    attribution_days: int = 180

    @classmethod
    def read(cls, given: Any) -> ReferralPolicy:
        """From an object with `rule` and perhaps other members, or `Invalid` with the place."""
        members(given, ("rule",), "", optional=tuple(field.name for field in fields(cls)))
        rule = Rule(choice(given["rule"], "/rule", [one.value for one in Rule]))
        return cls(
            rule=rule,
            weights=_weights(given, rule),
            tells=Tells(choice(given.get("tells", cls().tells.value), "/tells", [one.value for one in Tells])),
            **{
                name: whole(given.get(name, getattr(cls(), name)), f"/{name}", least, most)
                for name, (least, most) in RANGES.items()
            },
        )

    def describe(self) -> dict[str, Any]:
        """All its members, as they are read."""
        said = asdict(self) | {"rule": self.rule.value, "tells": self.tells.value, "weights": list(self.weights)}
        return said if self.weights else {name: value for name, value in said.items() if name != "weights"}

    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.describe()).decode()


def _weights(given: dict[str, Any], rule: Rule) -> tuple[int, ...]:
    if rule is not Rule.SPLIT:
        if "weights" in given:
            raise Invalid("weights_without_split", "Only a split has weights.", field="/weights")
        return ()
    if "weights" not in given:
        raise Invalid("weights_missing", "A split says who gets how much.", field="/weights", remedy="As [7000, 3000].")
    shares = items(given["weights"], "/weights", MOST_SHARES)
    weights = tuple(whole(one, f"/weights/{at}", 0, BASIS_POINTS) for at, one in enumerate(shares))
    if len(weights) < len(("first", "second")) or sum(weights) != BASIS_POINTS:
        raise Invalid("weights_wrong", f"At least two weights, together {BASIS_POINTS} basis points.", field="/weights")
    if list(weights) != sorted(weights, reverse=True):
        raise Invalid(
            "weights_rise",
            "No later place may weigh more than one before it: when an earlier referral has ended, two that came after "
            "it could count for more than there is.",
            field="/weights",
            remedy="State the greatest first.",
        )
    return weights

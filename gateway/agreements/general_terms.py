"""The terms that hold for a whole agreement, each of which may be absent: then that capability is off (clause 2.3.1).

`"frequency"`, `"signed_messages"`, `"third_parties"`, `"remedies"`, `"dispute"` and `"revenue_ratio"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.agreements.dataset_terms import LONGEST_WINDOW_S
from gateway.agreements.fields import IDENTIFIER, choice, choices, distinct, kept_sentence, members, whole
from gateway.errors import Invalid
from gateway.identity import PROFILE

MOST_READS = 1_000_000_000
MOST_THIRD_PARTIES = 32
LONGEST_CURE_DAYS = 366
LONGEST_NEGOTIATION_DAYS = 366
WHOLE_BP = 10_000
SIGNED_ACTIONS = ("read", "query")
"""What a signature may be demanded for: every read, or those that filter."""
PROFILES = (PROFILE,)
FORUMS = ("arbitration", "court")


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most `reads` reads in each window of `per_seconds` seconds. Without one there is no feed."""

    reads: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class SignedMessages:
    """For these actions the recipient signs each request by this profile of RFC 9421, and the gateway each answer."""

    profile: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remedies:
    """Who breaches has `cure_days` days to put it right before more follows (clause 9.2)."""

    cure_days: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """Disputes are negotiated for `negotiation_days` days, then brought before `body`, a tribunal or a court (7.2)."""

    forum: str
    body: str
    negotiation_days: int


@dataclass(frozen=True, slots=True)
class RevenueRatio:
    """How revenue is shared (4.2.3), in basis points that make 10,000 together."""

    owner_bp: int
    recipient_bp: int


def frequency(value: Any) -> Frequency:
    """`{"reads","per_seconds"}`."""
    at = "/frequency"
    members(value, ("reads", "per_seconds"), at)
    return Frequency(
        reads=whole(value["reads"], f"{at}/reads", 1, MOST_READS),
        per_seconds=whole(value["per_seconds"], f"{at}/per_seconds", 1, LONGEST_WINDOW_S),
    )


def signed_messages(value: Any) -> SignedMessages:
    """`{"profile","actions"}`."""
    at = "/signed_messages"
    members(value, ("profile", "actions"), at)
    return SignedMessages(
        profile=choice(value["profile"], f"{at}/profile", PROFILES),
        actions=choices(value["actions"], f"{at}/actions", SIGNED_ACTIONS),
    )


def third_parties(value: Any) -> tuple[str, ...]:
    """The ids of members, none of them twice."""
    return distinct(value, "/third_parties", MOST_THIRD_PARTIES, IDENTIFIER)


def remedies(value: Any) -> Remedies:
    """`{"cure_days"}`."""
    members(value, ("cure_days",), "/remedies")
    return Remedies(whole(value["cure_days"], "/remedies/cure_days", 0, LONGEST_CURE_DAYS))


def dispute(value: Any) -> Dispute:
    """`{"forum","body","negotiation_days"}`."""
    at = "/dispute"
    members(value, ("forum", "body", "negotiation_days"), at)
    return Dispute(
        forum=choice(value["forum"], f"{at}/forum", FORUMS),
        body=kept_sentence(value["body"], f"{at}/body"),
        negotiation_days=whole(value["negotiation_days"], f"{at}/negotiation_days", 0, LONGEST_NEGOTIATION_DAYS),
    )


def revenue_ratio(value: Any) -> RevenueRatio:
    """`{"owner_bp","recipient_bp"}`, which make 10,000 together."""
    at = "/revenue_ratio"
    members(value, ("owner_bp", "recipient_bp"), at)
    owner, recipient = (whole(value[name], f"{at}/{name}", 0, WHOLE_BP) for name in ("owner_bp", "recipient_bp"))
    if owner + recipient != WHOLE_BP:
        raise Invalid(
            "terms_ratio_not_whole",
            f"The shares make {owner + recipient} basis points together, not {WHOLE_BP}.",
            field=at,
            remedy="Let them make 10000.",
        )
    return RevenueRatio(owner, recipient)

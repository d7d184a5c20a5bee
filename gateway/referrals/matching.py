"""Whose referral of one person counts: decided by the policies of the agreements, on claims in the order they came.

A pure function: who asks it has the recipient's log locked, so that on any number of processes each claim is decided
once, against every claim that was registered before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.referrals.policy import BASIS_POINTS, ReferralPolicy, Rule
from gateway.referrals.states import State

_UNANSWERED: Final = frozenset({State.READY, State.OFFERED})
"""States in which the recipient has not said a word yet, so that nobody notices who is displaced."""


class Claim(NamedTuple):
    """One registered referral: its number with the recipient, where it is, and the policy it was registered under."""

    sequence: int
    state: State
    policy: ReferralPolicy


class Outcome(StrEnum):
    """What becomes of a claim."""

    OFFERED = "offered"
    SET_ASIDE = "set_aside"
    CONTESTED = "contested"


class Verdict(NamedTuple):
    """What becomes of the newest claim, for which share it counts, and whether it displaces the earlier ones."""

    outcome: Outcome
    share: int = BASIS_POINTS
    displaces: bool = False


def decide(claim: Claim, earlier: Sequence[Claim]) -> Verdict:
    """What becomes of a claim, given those of the same person that came earlier and are protected still.

    Without earlier ones it is offered. Where all agreements have one rule, that decides; where they differ, or leave
    it to the committee, nobody but the parties can, and all of them are contested.
    """
    if not earlier:
        return Verdict(Outcome.OFFERED, _weight(claim.policy, 0))
    policies = {(one.policy.rule, one.policy.weights) for one in (claim, *earlier)}
    rule = claim.policy.rule if len(policies) == 1 else Rule.COMMITTEE
    match rule:
        case Rule.FIRST_REGISTERED:
            return Verdict(Outcome.SET_ASIDE)
        case Rule.LAST_TOUCH if all(one.state in _UNANSWERED for one in earlier):
            return Verdict(Outcome.OFFERED, displaces=True)
        case Rule.LAST_TOUCH:
            return Verdict(Outcome.SET_ASIDE)
        case Rule.SPLIT:
            share = _weight(claim.policy, len(earlier))
            return Verdict(Outcome.OFFERED, share) if share else Verdict(Outcome.SET_ASIDE)
        case Rule.COMMITTEE:
            return Verdict(Outcome.CONTESTED)


def _weight(policy: ReferralPolicy, place: int) -> int:
    """The share of the claim at this place; the first one's is fixed even before a second comes."""
    if policy.rule is not Rule.SPLIT:
        return BASIS_POINTS
    return policy.weights[place] if place < len(policy.weights) else 0

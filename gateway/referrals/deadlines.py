"""Until when somebody has to act on a referral; missed, it is returned to the referrer.

Acceptance and first contact are counted in hours of business days, status updates in days that end on a business day,
protection and attribution in calendar days from the registration.
"""

from __future__ import annotations

from gateway.business_days import after_business_hours, on_a_business_day
from gateway.clock import MILLISECONDS, seconds
from gateway.referrals.policy import DAY_MS, ReferralPolicy
from gateway.referrals.states import State


def due_after(state: State, policy: ReferralPolicy, due_at: int | None, now_ms: int) -> int | None:
    """When the next act is due, now that a referral is in this state; milliseconds, or None where nothing is due.

    A disclosure keeps the deadline of the first contact.
    """
    match state:
        case State.DISCLOSED:
            return due_at
        case State.READY | State.OFFERED | State.NEEDS_INFO:
            return after_business_hours(seconds(now_ms), policy.accept_hours) * MILLISECONDS
        case State.ACCEPTED:
            return after_business_hours(seconds(now_ms), policy.contact_hours) * MILLISECONDS
        case State.CONTACTED | State.QUALIFIED:
            return on_a_business_day(seconds(now_ms + policy.update_days * DAY_MS)) * MILLISECONDS
        case _:
            return None


def due_anew(state: State, policy: ReferralPolicy, freed_ms: int) -> int | None:
    """When the next act is due of a referral that no case holds any more since `freed_ms`: all its time again."""
    match state:
        case State.DISCLOSED:
            return due_after(State.ACCEPTED, policy, None, freed_ms)
        case State.CONFLICT_HOLD | State.DUPLICATE:
            return due_after(State.OFFERED, policy, None, freed_ms)
        case _:
            return due_after(state, policy, None, freed_ms)


def protected_until(policy: ReferralPolicy, registered_ms: int) -> int:
    """Until when it stands against later referrals of the same person."""
    return registered_ms + policy.protection_days * DAY_MS


def attributed_until(policy: ReferralPolicy, registered_ms: int) -> int:
    """Until when a conversion counts for it."""
    return registered_ms + policy.attribution_days * DAY_MS

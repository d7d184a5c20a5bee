"""Hours of business days, and days that end on one, by the rulebook's calendar (Asia/Shanghai)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from gateway.business_days import after_business_hours, on_a_business_day
from gateway.referrals.deadlines import due_after
from gateway.referrals.policy import ReferralPolicy
from gateway.referrals.states import State

BEIJING = timezone(timedelta(hours=8))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BEIJING).timestamp())


def test_a_weekend_and_a_holiday_stop_the_clock_and_a_worked_saturday_does_not() -> None:
    assert after_business_hours(at("2026-03-04 15:00"), 24) == at("2026-03-05 15:00")
    assert after_business_hours(at("2026-03-06 15:00"), 24) == at("2026-03-09 15:00")
    assert after_business_hours(at("2026-03-07 11:00"), 24) == at("2026-03-10 00:00")
    assert after_business_hours(at("2026-09-30 12:00"), 24) == at("2026-10-08 12:00")
    assert after_business_hours(at("2026-10-09 12:00"), 24) == at("2026-10-10 12:00"), "a Saturday that is worked"


def test_a_day_that_is_no_business_day_is_moved_to_the_end_of_the_next_one() -> None:
    assert on_a_business_day(at("2026-03-06 15:00")) == at("2026-03-06 15:00")
    assert on_a_business_day(at("2026-03-07 15:00")) == at("2026-03-10 00:00")


@given(st.integers(at("2026-01-01 00:00"), at("2026-12-31 00:00")), st.integers(1, 100))
def test_a_deadline_is_never_early_and_one_hour_more_is_never_sooner(now: int, hours: int) -> None:
    due = after_business_hours(now, hours)
    assert due >= now + hours * 3600
    assert after_business_hours(now, hours + 1) >= due + 3600


def test_each_state_has_the_deadline_of_its_policy_and_what_ended_has_none() -> None:
    policy, now = ReferralPolicy(accept_hours=24, contact_hours=48, update_days=14), at("2026-03-03 10:00") * 1000
    told = {state: due_after(state, policy, 7, now) for state in State}
    assert told[State.READY] == told[State.OFFERED] == at("2026-03-04 10:00") * 1000
    assert told[State.ACCEPTED] == at("2026-03-05 10:00") * 1000
    assert told[State.DISCLOSED] == 7, "the first contact is due from the acceptance on"
    assert told[State.CONTACTED] == at("2026-03-17 10:00") * 1000
    assert {told[state] for state in (State.WON, State.LOST, State.DRAFT, State.CONSENT_PENDING, State.EXPIRED)} == {
        None
    }

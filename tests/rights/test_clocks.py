from __future__ import annotations

from datetime import datetime

import pytest

from gateway.errors import Conflicting, Invalid
from gateway.rights.profiles import profile_of, profiles
from gateway.rights.states import STEPS, RequestState, RightKind, Step, after, can_be_taken_back, kind_of


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def test_china_answers_within_15_business_days_that_skip_the_national_holiday_and_count_worked_weekends() -> None:
    cn = profile_of("cn")
    due = cn.due(ms("2025-09-22T10:00:00+08:00"), cn.answer)
    assert due.at == ms("2025-10-18T00:00:00+08:00")
    assert not due.provisional
    assert cn.extended is None


def test_a_year_without_published_holidays_is_provisional() -> None:
    cn = profile_of("cn")
    assert cn.due(ms("2031-03-03T10:00:00+08:00"), cn.answer).provisional


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-15T12:00:00+01:00", "2026-02-16T00:00:00+01:00"),
        ("2026-01-31T12:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ("2026-03-15T23:30:00+00:00", "2026-04-17T00:00:00+02:00"),
    ],
)
def test_europe_answers_within_a_month_by_its_own_days(received: str, due: str) -> None:
    eu = profile_of("eu")
    assert eu.due(ms(received), eu.answer).at == ms(due)


def test_europe_may_take_two_months_more() -> None:
    eu = profile_of("eu")
    assert eu.extended is not None
    assert eu.due(ms("2025-11-30T12:00:00+01:00"), eu.extended).at == ms("2026-03-01T00:00:00+01:00")


def test_every_profile_names_a_law_for_every_kind_and_tells_where_to_complain_in_both_languages() -> None:
    for profile in profiles().values():
        assert profile.law.keys() == set(RightKind)
        assert profile.remedies.keys() == {"zh-CN", "en"}
        assert set(profile.next_of_kin) <= set(RightKind)


def test_a_profile_or_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(Invalid, match="unknown_profile"):
        profile_of("mars")
    with pytest.raises(Invalid, match="unknown_kind"):
        kind_of("everything")


def test_no_step_leads_out_of_a_state_that_has_ended() -> None:
    ended = {RequestState.REFUSED, RequestState.RETRACTED}
    assert ended == {state for state in RequestState if state not in STEPS}
    for state in ended:
        for step in Step:
            with pytest.raises(Conflicting):
                after(state, step)


def test_of_what_was_answered_a_restriction_alone_is_ended() -> None:
    assert [kind for kind in RightKind if can_be_taken_back(kind, RequestState.ANSWERED)] == [RightKind.RESTRICTION]


def test_nobody_is_answered_who_has_not_shown_who_asks() -> None:
    with pytest.raises(Conflicting, match="wrong_state"):
        after(RequestState.RECEIVED, Step.ANSWER)

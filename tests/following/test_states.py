from __future__ import annotations

from datetime import datetime

import pytest

from gateway.consents.following.states import (
    STEPS,
    UNMET,
    WAYS,
    Deadlines,
    State,
    Step,
    Way,
    before,
    effective,
    follow,
)
from gateway.errors import Conflicting

_DAY_MS = 24 * 3600 * 1000


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def test_no_step_leads_back_from_an_answer() -> None:
    answered = [State.ACKNOWLEDGED, State.COMPLIED, State.VERIFIED]
    for (state, step), reached in STEPS.items():
        if state in answered:
            assert answered.index(reached) > answered.index(state), (state, step)


def test_every_state_but_overdue_is_reached_from_queued_and_overdue_is_never_stored() -> None:
    reached, new = {State.QUEUED}, {State.QUEUED}
    while new:
        new = {after for (state, _), after in STEPS.items() if state in new} - reached
        reached |= new
    assert reached == set(State) - {State.OVERDUE}


@pytest.mark.parametrize("state", UNMET)
def test_whatever_it_stands_at_it_can_be_complied_with(state: State) -> None:
    assert follow(state, Step.COMPLY) is State.COMPLIED


def test_a_step_that_leads_nowhere_is_refused() -> None:
    possible = {(state, step) for step in Step for state in before(step)}
    assert possible == set(STEPS)
    for state in State:
        for step in Step:
            if (state, step) not in possible:
                with pytest.raises(Conflicting, match="wrong_state"):
                    follow(state, step)


@pytest.mark.parametrize(
    ("queued", "acknowledge", "comply"),
    [
        ("2026-01-05T02:00:00Z", "2026-01-06T16:00:00Z", "2026-01-08T16:00:00Z"),  # a Monday
        ("2026-01-09T02:00:00Z", "2026-01-12T16:00:00Z", "2026-01-14T16:00:00Z"),  # a Friday
        ("2026-09-30T15:59:59Z", "2026-10-08T16:00:00Z", "2026-10-10T16:00:00Z"),  # before the Golden Week
        ("2026-02-13T02:00:00Z", "2026-02-14T16:00:00Z", "2026-02-25T16:00:00Z"),  # a Saturday that is worked
    ],
)
def test_deadlines_end_with_business_days_of_the_rulebook(queued: str, acknowledge: str, comply: str) -> None:
    assert Deadlines().of(_ms(queued)) == (_ms(acknowledge), _ms(comply))


def test_an_agreement_may_tighten_them_and_no_holiday_extends_them_beyond_the_hard_stop() -> None:
    queued = _ms("2026-01-05T02:00:00Z")
    assert Deadlines(acknowledge=0, comply=1).of(queued) == (_ms("2026-01-05T16:00:00Z"), _ms("2026-01-06T16:00:00Z"))
    assert Deadlines(comply=30).of(queued)[1] == queued + 15 * _DAY_MS


def test_the_clock_decides_on_reading_until_it_is_complied_with() -> None:
    row = {"state": "delivered", "acknowledged_at": None, "acknowledge_by": 10, "comply_by": 30}
    assert [effective(row, now) for now in (10, 11)] == [State.DELIVERED, State.OVERDUE]
    row |= {"state": "acknowledged", "acknowledged_at": 12}
    assert [effective(row, now) for now in (11, 30, 31)] == [State.ACKNOWLEDGED, State.ACKNOWLEDGED, State.OVERDUE]
    assert effective(row | {"state": "complied"}, 99) is State.COMPLIED


def test_what_is_erased_can_be_kept_by_law_alone_and_what_is_corrected_can_be_corrected() -> None:
    assert {cause for cause, ways in WAYS.items() if Way.CORRECTED in ways} == {"corrected"}
    assert all(Way.RETAINED in ways and Way.DELETED in ways for ways in WAYS.values())

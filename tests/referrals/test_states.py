"""The tables, walked through: where a referral can go, and where nothing leads."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import Conflicting
from gateway.referrals import finance
from gateway.referrals.finance import Finance
from gateway.referrals.states import (
    BEFORE_DISCLOSURE,
    CLOSED,
    OPEN,
    RECIPIENTS,
    REFERRERS,
    STEPS,
    WORKED_ON,
    Event,
    Standing,
    State,
    effective,
    follow,
)
from tests.rules.sources import ROOT

NOW = 1_000_000


def reachable(first: State) -> set[State]:
    """Every state that a way leads to."""
    seen, left = {first}, [first]
    while left:
        at = left.pop()
        for (state, _), after in STEPS.items():
            if state is at and after not in seen:
                seen.add(after)
                left.append(after)
    return seen


def named(refused: Conflicting) -> set[str]:
    """What a conflict says can be done instead."""
    remedy = refused.remedy or ""
    return set(remedy.removeprefix("Possible: ").rstrip(".").split(", ")) if remedy.startswith("Possible") else set()


def test_every_state_is_reached_and_every_open_one_has_an_end() -> None:
    assert reachable(State.DRAFT) == set(State)
    ends = {state for state in State if not any(at is state for at, _ in STEPS)}
    assert ends == {State.WON, State.LOST, State.UNQUALIFIED, State.DECLINED, State.EXPIRED, State.WITHDRAWN} | {
        State.CANCELLED
    }
    assert all(reachable(state) & ends for state in State)


def test_no_way_leads_to_a_disclosure_but_over_an_acceptance() -> None:
    ways = {at for (at, _), after in STEPS.items() if after is State.DISCLOSED}
    assert ways == {State.ACCEPTED, State.DISCLOSED}
    accepting = {(at, event) for (at, event), after in STEPS.items() if after is State.ACCEPTED}
    assert accepting == {(State.OFFERED, Event.ACCEPT), (State.CONFLICT_HOLD, Event.ACCEPT)}


def test_no_draft_and_nothing_without_consent_holds_a_place() -> None:
    assert {State.DRAFT, State.CONSENT_PENDING}.isdisjoint(OPEN)
    assert {at for (at, _), after in STEPS.items() if after is State.READY} == {State.CONSENT_PENDING}


def test_a_withdrawal_and_a_deadline_end_whatever_is_open() -> None:
    for state in OPEN:
        assert follow(state, Event.WITHDRAW) is State.WITHDRAWN
        assert follow(state, Event.EXPIRE) is State.EXPIRED
    assert not [event for state, event in STEPS if state in CLOSED]


def test_every_act_belongs_to_one_side_and_the_rest_to_nobody() -> None:
    assert REFERRERS.isdisjoint(RECIPIENTS)
    found = {Event.REGISTER, Event.OFFER, Event.SET_ASIDE, Event.CONTEST, Event.EXPIRE, Event.WITHDRAW}
    assert set(Event) - REFERRERS - RECIPIENTS == found


@given(st.sampled_from(State), st.sampled_from(Event))
def test_what_the_table_does_not_say_is_a_conflict(state: State, event: Event) -> None:
    if (state, event) in STEPS:
        assert follow(state, event) is STEPS[state, event]
    else:
        with pytest.raises(Conflicting):
            follow(state, event)


@given(st.sampled_from(State), st.sampled_from(Standing), st.none() | st.integers(0, 2 * NOW))
def test_a_state_read_is_never_further_than_the_state_written(
    state: State, standing: Standing, due: int | None
) -> None:
    read = effective(state, standing, due_at=due, now_ms=NOW)
    assert read in {state, State.WITHDRAWN, State.EXPIRED}
    if standing is Standing.WITHDRAWN:
        assert read not in OPEN
    if standing is Standing.EXPIRED:
        assert read not in BEFORE_DISCLOSURE
    if due is not None and due <= NOW:
        assert read not in OPEN
    if standing is Standing.GIVEN and (due is None or due > NOW):
        assert read is state


def test_a_consent_that_ran_out_after_the_disclosure_ends_nothing() -> None:
    for state in WORKED_ON:
        assert effective(state, Standing.EXPIRED, due_at=None, now_ms=NOW) is state


@pytest.mark.parametrize("event", sorted(REFERRERS))
def test_what_was_set_aside_takes_the_referrers_acts_as_an_offer_does(event: Event) -> None:
    """Or the answer to an act would tell what no view of it does."""
    for shown in (State.READY, State.OFFERED):
        assert ((shown, event) in STEPS) is ((State.DUPLICATE, event) in STEPS)


@given(st.sampled_from(State), st.sampled_from(Event))
def test_a_conflict_names_what_the_same_side_can_do_there_and_nothing_else(state: State, event: Event) -> None:
    assume((state, event) not in STEPS)
    side = REFERRERS if event in REFERRERS else RECIPIENTS
    with pytest.raises(Conflicting) as refused:
        follow(state, event)
    assert named(refused.value) == {other for other in side if (state, other) in STEPS}


@given(st.sampled_from(Standing), st.none() | st.integers(0, 2 * NOW))
def test_what_has_ended_and_what_was_never_registered_stays_where_it_is(standing: Standing, due: int | None) -> None:
    for state in set(State) - OPEN - {State.DUPLICATE}:
        assert effective(state, standing, due_at=due, now_ms=NOW) is state


def diagram() -> str:
    """The table, drawn for Mermaid."""
    lines = [f"    {state.value} --> {after.value}: {event.value}" for (state, event), after in STEPS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> draft", *sorted(set(lines))])


def test_the_guide_shows_the_table() -> None:
    assert diagram() in (ROOT / "docs" / "guides" / "referrals.md").read_text(encoding="utf-8")


def test_a_value_is_on_hold_never_without_a_way_out() -> None:
    assert {step for state, step in finance.STEPS if state is Finance.ON_HOLD} == {"release", "claw_back"}
    for state, step in product(Finance, ("accrue", "hold", "release", "settle", "claw_back")):
        if (state, step) not in finance.STEPS:
            with pytest.raises(Conflicting) as refused:
                finance.follow(state, step)
            assert named(refused.value) == {other for at, other in finance.STEPS if at is state}
    assert not [step for state, step in finance.STEPS if state is Finance.CLAWED_BACK]
    assert [state for state, step in finance.STEPS if step == "accrue"] == [Finance.NONE], "nothing accrues twice"

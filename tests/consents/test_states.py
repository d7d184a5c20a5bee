"""The table of a consent's states, and what the clock makes of where one stands."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.consents.states import ENDED, STEPS, Event, State, effective, follow
from gateway.errors import Conflicting

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "consents.md"
INSTANT = st.one_of(st.none(), st.integers(0, 20))


def reachable(start: State) -> set[State]:
    """Every state that some way leads to."""
    seen: set[State] = set()
    waiting = [start]
    while waiting:
        for reached in STEPS.get(waiting.pop(), {}).values():
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return seen


@pytest.mark.parametrize("state", sorted(ENDED))
def test_no_way_leads_out_of_a_state_that_has_ended(state: State) -> None:
    assert reachable(state) == set()


def test_what_has_ended_is_what_the_law_of_the_record_says_and_stale_never_stands_again() -> None:
    ended = "refused lapsed withdrawn revoked expired invalidated consumed superseded"
    assert {state.value for state in ENDED} == set(ended.split())
    assert State.GIVEN not in reachable(State.STALE)


def test_every_state_can_be_reached_and_leads_to_an_end() -> None:
    assert reachable(State.DRAFT) == set(State) - {State.DRAFT}
    assert all(reachable(state) & ENDED for state in STEPS)


def test_only_a_person_a_guardian_an_owner_or_a_lifted_hold_makes_it_given() -> None:
    into = {event for steps in STEPS.values() for event, reached in steps.items() if reached is State.GIVEN}
    assert into == {Event.GIVE, Event.CONFIRM, Event.RECORD, Event.LIFT, Event.AMEND}
    assert Event.SERVE not in into


def test_a_step_that_the_table_lacks_is_refused() -> None:
    for state, event in product(State, Event):
        if event in STEPS.get(state, {}):
            assert follow(state, event) is STEPS[state][event]
        else:
            with pytest.raises(Conflicting, match="wrong_state"):
                follow(state, event)


@given(
    state=st.sampled_from(State),
    given_at=INSTANT,
    expires_at=INSTANT,
    stale_at=INSTANT,
    uses_left=st.one_of(st.none(), st.integers(0, 2)),
    now_s=st.integers(0, 20),
)
def test_a_late_job_never_permits(
    state: State,
    given_at: int | None,
    expires_at: int | None,
    stale_at: int | None,
    uses_left: int | None,
    now_s: int,
) -> None:
    about = {"given_at": given_at, "expires_at": expires_at, "stale_at": stale_at, "uses_left": uses_left}
    found = effective(state, now_s=now_s, **about)
    over = any(instant is not None and instant <= now_s for instant in (expires_at, stale_at)) or uses_left == 0
    early = given_at is not None and given_at > now_s
    assert (found is State.GIVEN) == (state is State.GIVEN and not over and not early)
    if found is not State.GIVEN and state is State.GIVEN and not early:
        later = effective(state, now_s=now_s + 1, **about)
        assert later is not State.GIVEN


def diagram() -> str:
    """The table, drawn for Mermaid."""
    lines = ["stateDiagram-v2"]
    for left, steps in STEPS.items():
        for right in dict.fromkeys(steps.values()):
            events = ", ".join(event.value for event, reached in steps.items() if reached is right)
            lines.append(f"    {'[*]' if left is State.DRAFT else left.value} --> {right.value}: {events}")
    return "\n".join([*lines, *(f"    {state.value} --> [*]" for state in State if state in ENDED)])


def test_the_guides_diagram_is_the_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in GUIDE.read_text(encoding="utf-8"), diagram()

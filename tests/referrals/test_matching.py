"""Whose referral counts: the pure decision, for every rule."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.referrals.matching import Claim, Outcome, Verdict, decide
from gateway.referrals.policy import BASIS_POINTS, MOST_SHARES, ReferralPolicy, Rule
from gateway.referrals.states import CLAIMING, State

FIRST, LAST, COMMITTEE = (
    ReferralPolicy(rule=rule) for rule in (Rule.FIRST_REGISTERED, Rule.LAST_TOUCH, Rule.COMMITTEE)
)
SPLIT = ReferralPolicy(rule=Rule.SPLIT, weights=(7000, 3000))


def claim(sequence: int, policy: ReferralPolicy, state: State = State.OFFERED) -> Claim:
    return Claim(sequence, state, policy)


def test_alone_it_is_offered_whatever_the_rule() -> None:
    for policy in (FIRST, LAST, COMMITTEE):
        assert decide(claim(1, policy), []) == Verdict(Outcome.OFFERED)
    assert decide(claim(1, SPLIT), []) == Verdict(Outcome.OFFERED, 7000)


@given(st.sampled_from(sorted(CLAIMING)))
def test_the_first_registered_counts_and_no_later_one(state: State) -> None:
    assert decide(claim(2, FIRST), [claim(1, FIRST, state)]) == Verdict(Outcome.SET_ASIDE)


@given(st.sampled_from(sorted(CLAIMING)))
def test_the_last_touch_displaces_only_what_the_recipient_has_not_answered(state: State) -> None:
    verdict = decide(claim(2, LAST), [claim(1, LAST, state)])
    unanswered = state in (State.READY, State.OFFERED)
    assert verdict == (Verdict(Outcome.OFFERED, displaces=True) if unanswered else Verdict(Outcome.SET_ASIDE))


def test_a_split_gives_each_place_its_weight_and_nobody_more_than_there_is() -> None:
    earlier = [claim(1, SPLIT)]
    assert decide(claim(2, SPLIT), earlier) == Verdict(Outcome.OFFERED, 3000)
    assert decide(claim(3, SPLIT), [*earlier, claim(2, SPLIT)]).outcome is Outcome.SET_ASIDE


def policies_of_a_split() -> st.SearchStrategy[ReferralPolicy]:
    """Whatever is accepted as weights."""
    cuts = st.lists(st.integers(0, BASIS_POINTS), min_size=1, max_size=MOST_SHARES - 1).map(sorted)
    shares = cuts.map(lambda at: [end - start for start, end in pairwise([0, *at, BASIS_POINTS])])
    ordered = shares.flatmap(lambda drawn: st.sampled_from([drawn, sorted(drawn), sorted(drawn, reverse=True)]))
    return ordered.flatmap(_accepted)


def _accepted(weights: list[int]) -> st.SearchStrategy[ReferralPolicy]:
    try:
        return st.just(ReferralPolicy.read({"rule": "split", "weights": weights}))
    except Invalid:
        return st.nothing()


@given(st.data())
def test_what_stands_of_a_split_never_counts_for_more_than_there_is(data: st.DataObject) -> None:
    policy, standing = data.draw(policies_of_a_split()), dict[int, int]()
    for sequence in range(12):
        for ended in data.draw(st.sets(st.sampled_from(sorted(standing)))) if standing else ():
            del standing[ended]
        verdict = decide(claim(sequence, policy), [claim(one, policy) for one in standing])
        if verdict.outcome is Outcome.OFFERED:
            standing[sequence] = verdict.share
        assert sum(standing.values()) <= BASIS_POINTS


def test_the_committee_decides_where_it_is_asked_to_and_where_the_rules_differ() -> None:
    assert decide(claim(2, COMMITTEE), [claim(1, COMMITTEE)]).outcome is Outcome.CONTESTED
    other = ReferralPolicy(rule=Rule.SPLIT, weights=(6000, 4000))
    for mine, theirs in ((FIRST, LAST), (LAST, FIRST), (SPLIT, FIRST), (SPLIT, other)):
        assert decide(claim(2, mine), [claim(1, theirs)]).outcome is Outcome.CONTESTED


def test_a_policy_is_read_strictly_and_again_from_its_own_text() -> None:
    for policy in (FIRST, LAST, COMMITTEE, SPLIT):
        assert ReferralPolicy.read(policy.describe()) == policy
    assert ReferralPolicy.read({"rule": "first_registered"}) == ReferralPolicy()
    with pytest.raises(Invalid):
        ReferralPolicy.read({})
    for said, field in (
        ({"rule": "friends_first"}, "/rule"),
        ({"k": 1}, "/k"),
        ({"k": True}, "/k"),
        ({"accept_hours": 0}, "/accept_hours"),
        ({"weights": [1, 2]}, "/weights"),
        ({"rule": "split"}, "/weights"),
        ({"rule": "split", "weights": [BASIS_POINTS]}, "/weights"),
        ({"rule": "split", "weights": [7000, 3001]}, "/weights"),
        ({"rule": "split", "weights": [3000, 7000]}, "/weights"),
        ({"colour": 1}, "/colour"),
    ):
        with pytest.raises(Invalid) as refused:
            ReferralPolicy.read({"rule": "first_registered"} | said)
        assert refused.value.field == field

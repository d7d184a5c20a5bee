"""What is told of a count: true, coarse, the same for the same sets, and blind to one person."""

from __future__ import annotations

import secrets
from collections import Counter
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gateway.overlap.answering import COHORT, LEAST_CHANGE, STEP, changed, commitment, sketch, told


def _set(first: int, count: int, key: str = "") -> set[bytes]:
    return {sha256(f"{key}{number}".encode()).digest() for number in range(first, first + count)}


_sets = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.text(max_size=3))


@given(_sets)
def test_what_is_told_is_true_and_coarse_and_depends_on_nothing_but_the_sets(drawn: tuple[int, int, int, str]) -> None:
    count, other, first, key = drawn
    ours, theirs = _set(0, count, key), _set(first, other, key)
    common = len(ours & theirs)
    answer = told(common, ours, theirs)
    assert answer.at_least <= common < answer.fewer_than
    assert answer == told(common, theirs, ours)
    assert answer.at_least % STEP == answer.fewer_than % STEP == 0
    assert answer.at_least == 0 or answer.at_least >= COHORT
    assert answer.fewer_than >= COHORT + STEP


@given(st.integers(0, COHORT - 1))
def test_below_the_cohort_every_count_is_told_alike(common: int) -> None:
    assert told(common, _set(0, common), _set(0, 500)) == told(0, set(), set()) == (0, COHORT + STEP)


def test_one_person_more_or_less_is_not_read_off_where_the_cohort_begins() -> None:
    """Ninety-nine known common customers and one unknown: were the cohort a fixed line, the answer would name it."""
    seen: dict[int, Counter[int]] = {99: Counter(), 100: Counter(), 109: Counter()}
    for common, answers in seen.items():
        for attempt in range(400):
            answers[told(common, _set(0, common, str(attempt)), _set(0, 500, str(attempt))).at_least] += 1
    assert seen[99].keys() == {0}
    assert seen[100][0] > 300
    assert seen[109].keys() == {100}


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_sketch_never_tells_of_more_change_than_there_was(taken: int, added: int) -> None:
    former = _set(0, 400)
    now = _set(taken, 400 - taken) | _set(1000, added)
    assert changed(sketch(former), sketch(now)) <= len(former ^ now)
    assert changed(sketch(former), sketch(former)) == 0
    if taken + added > 2 * LEAST_CHANGE:
        assert changed(sketch(former), sketch(now)) >= LEAST_CHANGE


def test_a_sketch_holds_no_element_and_has_one_size() -> None:
    elements = _set(0, 1000)
    seen = sketch(elements)
    assert len(seen) == len(sketch(set())) == 32768
    assert [one for one in elements if one[:8] in seen] == []


def test_a_commitment_binds_to_the_set_and_tells_nothing_without_its_salt() -> None:
    salt, elements = secrets.token_bytes(32), _set(0, 5)
    assert commitment(salt, elements) == commitment(salt, sorted(elements))
    assert commitment(salt, elements) != commitment(salt, _set(0, 4))
    assert commitment(salt, elements) != commitment(secrets.token_bytes(32), elements)

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from gateway.consents.offline.plans import Plan, drawn, plan_of, plans
from gateway.errors import Invalid


def accepts(plan: Plan, size: int, bad: int, sample: int) -> Fraction:
    """The probability that a batch with so many bad rows is accepted."""
    ways = sum(comb(bad, found) * comb(size - bad, sample - found) for found in range(plan.acceptance + 1))
    return Fraction(ways, comb(size, sample))


@pytest.mark.parametrize("plan", plans().values(), ids=plans())
@pytest.mark.parametrize("size", [1, 2, 7, 60, 100, 333, 1000, 2500])
def test_a_sample_is_the_smallest_that_keeps_the_plans_promise(plan: Plan, size: int) -> None:
    sample = plan.sample_of(size)
    bad = max(plan.acceptance + 1, -(-size * plan.bad_per_mille // 1000))
    risk = 1 - Fraction(plan.confidence_per_mille, 1000)
    if sample < size:
        assert accepts(plan, size, bad, sample) <= risk
    if sample > 1:
        assert accepts(plan, size, bad, sample - 1) > risk


def test_the_published_sizes_of_the_standard_plan() -> None:
    standard = plan_of("standard")
    assert [standard.sample_of(size) for size in (50, 100, 500, 1000, 10_000, 100_000)] == [48, 95, 225, 258, 294, 298]


def test_a_draw_is_repeated_by_whoever_has_the_seed_and_by_nobody_else() -> None:
    lines = list(range(2, 1002))
    first = drawn("a" * 64, lines, 95)
    assert first == drawn("a" * 64, lines, 95)
    assert first == sorted(set(first))
    assert len(first) == 95
    assert set(first) <= set(lines)
    assert first != drawn("b" * 64, lines, 95)


def test_a_draw_prefers_no_row() -> None:
    lines = list(range(20))
    counts = dict.fromkeys(lines, 0)
    for seed in range(2000):
        for line in drawn(f"{seed:064x}", lines, 5):
            counts[line] += 1
    assert all(400 < count < 600 for count in counts.values())


@pytest.mark.parametrize("name", ["none at all", None, ["standard"], {"name": "standard"}])
def test_a_plan_that_is_not_published_is_refused(name: object) -> None:
    with pytest.raises(Invalid, match="unknown_plan"):
        plan_of(name)

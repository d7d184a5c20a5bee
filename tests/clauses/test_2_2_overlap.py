"""Clause 2.2.1: how well two members' customers complement each other, as a count that names nobody."""

from __future__ import annotations

from gateway.overlap.answering import COHORT, STEP
from tests.access.world import Shared
from tests.overlap.world import Counted


async def test_2_2_1_the_overlap_is_rounded_and_below_its_threshold_it_is_suppressed(shared: Shared) -> None:
    world = Counted(shared)
    own, other = await world.both(range(160), range(150))
    many = await world.answered(own, other)
    assert many["at_least"] <= 150 < many["fewer_than"]
    assert many["at_least"] % STEP == many["fewer_than"] % STEP == 0
    own, other = await world.both(range(1000, 1150), range(1149, 1300))
    few = await world.answered(own, other)
    assert (few["at_least"], few["fewer_than"]) == (0, COHORT + STEP)

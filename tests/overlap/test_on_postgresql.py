"""Where the database matters: acceptances race on two processes, and each step is one process's alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import Refused
from gateway.overlap.overlaps import MOST_A_MONTH
from tests.access.world import second_process, shared_on
from tests.overlap.world import Counted


async def test_two_processes_spend_the_budget_once_and_answer_each_overlap_once(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with shared_on(request, tmp_path, "postgresql") as shared, second_process(shared) as second:
        world = Counted(shared)
        own, other = await world.both(range(140), range(140))
        asked = [await world.proposed(own, other) for _ in range(MOST_A_MONTH + 2)]
        token = await other.owner.token(other.owner.under(own.agreement, own.dataset, "matching"))
        subject = await shared.subject(other.owner, token)
        processes = (shared.gateway, second) * MOST_A_MONTH
        answers = await asyncio.gather(
            *[one.overlapping.overlaps.accept(subject, wish) for one, wish in zip(processes, asked, strict=True)],
            return_exceptions=True,
        )
        assert [isinstance(one, Refused) for one in answers].count(False) == MOST_A_MONTH
        await asyncio.gather(world.runs.run(), second.overlapping.runs.run())
        accepted = [wish for wish, answer in zip(asked, answers, strict=True) if not isinstance(answer, Refused)]
        told = [(await world.count(one)).json() for one in accepted]
        assert len({(one["at_least"], one["fewer_than"]) for one in told}) == 1
        for one in accepted:
            assert [entry["act"] for entry in await world.acts(one, own.owner)].count("overlap_answered") == 1

"""Where the database matters: acceptances and counts race on two processes, and each step is one process's alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from gateway.errors import Refused
from gateway.overlap.counting import Counting
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


class _AtOnce(Counting):
    """Counts once every other process has come as far."""

    method = "keyed_join"

    def __init__(self, all_of_them: asyncio.Barrier) -> None:
        self._all_of_them = all_of_them

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        await self._all_of_them.wait()
        return len(set(ours) & set(theirs))


async def test_of_nearly_the_same_sets_that_two_processes_count_at_once_one_repeats_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shared_on(request, tmp_path, "postgresql") as shared, second_process(shared) as second:
        world, counted = Counted(shared), asyncio.Barrier(2)
        own, other = await world.both(range(140), range(140))
        fewer = await world.customers(own.owner, own.other, range(139))
        overlaps = [await world.accepted(one, other) for one in (own, fewer)]
        processes = [world.runs, second.overlapping.runs]
        for runs in processes:
            monkeypatch.setattr(runs, "_counting", _AtOnce(counted))
        async with asyncio.timeout(60):
            await asyncio.gather(*[runs.run() for runs in processes])
        first, last = sorted(
            [(await world.count(one)).json() for one in overlaps], key=lambda one: bool(one["repeats"])
        )
        assert (first["repeats"], last["repeats"]) == (None, first["overlap"])
        assert (first["at_least"], first["fewer_than"]) == (last["at_least"], last["fewer_than"])
        entry = (await world.acts(last["overlap"], own.owner))[-1]
        assert (entry["act"], entry["repeats"]) == ("overlap_answered", first["overlap"])

from __future__ import annotations

from typing import Any

import pytest

from gateway.agreements import HoldSubject, holds_case
from gateway.errors import Conflicting, Invalid, NotFound
from tests.agreements.world import FLIGHTS, World


async def _active(world: World, agreement: str, dataset: str = FLIGHTS) -> list[dict[str, Any]]:
    return await holds_case(world.database, agreement_id=agreement, dataset_id=dataset)


async def test_a_hold_freezes_its_own_subject_until_it_is_lifted(world: World) -> None:
    one, other = await world.drafted(), await world.drafted()
    hold = await world.holds.place(world.alliance, HoldSubject.AGREEMENT, one, case="c-1", operator="root")
    assert await _active(world, one) == [
        {"case": "c-1", "subject": one, "state": "active", "from": world.clock.now_s, "until": 253_402_300_799}
    ]
    assert await _active(world, other) == []
    held = await world.holds.place(world.alliance, HoldSubject.DATASET, FLIGHTS, case="c-2", operator="root")
    assert [one_["case"] for one_ in await _active(world, one)] == ["c-1", "c-2"]
    assert [one_["case"] for one_ in await _active(world, other)] == ["c-2"]
    assert [one_["case"] for one_ in await _active(world, one, "planes")] == ["c-1"]
    await world.lift(hold)
    await world.lift(held)
    assert await _active(world, one) == []


async def test_placing_narrows_the_owner_and_each_act_is_one_entry_in_its_log(world: World) -> None:
    before = len(await world.entries())
    hold = await world.holds.place(world.alliance, HoldSubject.DATASET, FLIGHTS, case="c-1", operator="ops")
    assert await world.narrowing(world.airline) == 1
    await world.lift(hold)
    assert await world.narrowing(world.airline) == 1
    entries = [one for one in await world.entries() if one["kind"] == "hold"]
    in_operators_log = ["proposal_made", "proposal_approved"]
    assert len(await world.entries()) - before - len(in_operators_log) == len(entries) == 2
    assert [one["act"] for one in entries] == ["hold_placed", "hold_lifted"]
    for one in entries:
        assert (one["hold"], one["case"], one["dataset"]) == (hold, "c-1", FLIGHTS)
        assert one["log"] == f"alliance.test/{world.airline.id}"
    placed, lifted = [one["actor"] for one in entries]
    assert placed == {"operator": "ops"}
    assert (lifted["operator"], lifted["approver"]) == ("root", "second")


async def test_two_cases_may_hold_one_subject_but_one_case_only_once(world: World) -> None:
    agreement = await world.drafted()

    async def place(case: str) -> str:
        return await world.holds.place(world.alliance, HoldSubject.AGREEMENT, agreement, case=case, operator="root")

    first = await place("c-1")
    await place("c-2")
    before = await world.entries(), await world.narrowing(world.airline)
    with pytest.raises(Conflicting, match="hold_stands"):
        await place("c-1")
    assert (await world.entries(), await world.narrowing(world.airline)) == before
    await world.lift(first)
    assert [one["case"] for one in await _active(world, agreement)] == ["c-2"]
    await place("c-1")


async def test_what_another_alliance_owns_cannot_be_held(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    before = await world.entries()
    for kind, subject in ((HoldSubject.AGREEMENT, agreement), (HoldSubject.DATASET, FLIGHTS)):
        with pytest.raises(NotFound):
            await world.holds.place(world.other_alliance, kind, subject, case="c-1", operator="root")
    with pytest.raises(NotFound):
        await world.lift("none")
    with pytest.raises(Invalid, match="case_malformed"):
        await world.holds.place(world.alliance, HoldSubject.DATASET, FLIGHTS, case='c"1', operator="root")
    assert await world.entries() == before

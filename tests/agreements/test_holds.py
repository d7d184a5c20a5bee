from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, bindparam, select

from gateway.agreements import HoldSubject, holds_case
from gateway.agreements.held import OPEN_END_S
from gateway.agreements.tables import hold as hold_table
from gateway.database import Database, Query
from gateway.errors import Conflicting, Invalid, NotFound
from tests.agreements.world import FLIGHTS, World


async def _active(world: World, agreement: str, dataset: str = FLIGHTS) -> list[dict[str, Any]]:
    return await holds_case(
        world.database,
        agreement_id=agreement,
        dataset_id=dataset,
        recipient_id=world.bank.id,
        owner_id=world.airline.id,
    )


_HOLDING = Query(
    select(hold_table.c.case_id)
    .where(
        hold_table.c.subject_kind == bindparam("kind"),
        hold_table.c.subject_id == bindparam("subject"),
        hold_table.c.state == "active",
        hold_table.c.until > bindparam("now", type_=BigInteger),
    )
    .order_by(hold_table.c.case_id)
)


async def _cases_holding(database: Database, kind: HoldSubject, subject: str, now_ms: int) -> list[str]:
    """The cases for which exactly this subject is held at an instant."""
    return [row["case_id"] for row in await database.all(_HOLDING, kind=kind.value, subject=subject, now=now_ms)]


async def test_a_hold_freezes_its_own_subject_until_it_is_lifted(world: World) -> None:
    one, other = await world.drafted(), await world.drafted()
    hold = await world.holds.place(world.alliance, HoldSubject.AGREEMENT, one, case="c-1", operator="root")
    lasting = {"state": "active", "from": world.clock.now_s, "until": OPEN_END_S}
    assert await _active(world, one) == [{"case": "c-1", "subject": one, **lasting}]
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


async def test_each_kind_of_subject_holds_what_it_names_and_nothing_else(world: World) -> None:
    one, other = await world.signed(), await world.signed()
    bond, foreign = f"{world.bank.id}:{world.airline.id}", f"{world.hotel.id}:{world.airline.id}"
    for kind, subject, held in (
        (HoldSubject.TERM, f"{one}:{FLIGHTS}", (True, False, False)),
        (HoldSubject.RECIPIENT_OF_OWNER, bond, (True, True, True)),
        (HoldSubject.RECIPIENT_OF_OWNER, foreign, (False, False, False)),
    ):
        hold = await world.hold(kind, subject)
        found = [await _active(world, one), await _active(world, other), await _active(world, one, "planes")]
        assert tuple(map(bool, found)) == held, kind
        await world.lift(hold)


async def test_what_is_known_by_its_id_alone_matches_its_own_kind_and_no_read(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.signed()
    for kind in (HoldSubject.REFERRAL, HoldSubject.LEDGER_LINE, HoldSubject.MEMO):
        await world.holds.place(
            world.alliance, kind, agreement, case=f"c-{kind}", operator="ops", owner=world.airline.id
        )
        assert await _cases_holding(world.database, kind, agreement, world.clock()) == [f"c-{kind}"]
    assert await _cases_holding(world.database, HoldSubject.AGREEMENT, agreement, world.clock()) == []
    assert await _active(world, agreement) == []
    with pytest.raises(NotFound):
        await world.holds.place(world.alliance, HoldSubject.MEMO, "m-1", case="c-1", operator="ops")
    with pytest.raises(NotFound):
        await world.holds.place(
            world.alliance, HoldSubject.MEMO, "m-1", case="c-1", operator="ops", owner=world.stranger.id
        )


async def test_a_time_boxed_hold_ends_by_itself_and_may_be_placed_anew(world: World) -> None:
    agreement = await world.signed()
    until = world.clock() + 60_000

    async def place(until_ms: int) -> str:
        return await world.holds.place(
            world.alliance, HoldSubject.AGREEMENT, agreement, case="c-1", operator="ops", until_ms=until_ms
        )

    await place(until)
    assert [one["until"] for one in await _active(world, agreement)] == [until // 1000]
    assert await _cases_holding(world.database, HoldSubject.AGREEMENT, agreement, until - 1) == ["c-1"]
    assert await _cases_holding(world.database, HoldSubject.AGREEMENT, agreement, until) == []
    with pytest.raises(Conflicting, match="hold_stands"):
        await place(until)
    world.clock.forward(60)
    with pytest.raises(Invalid, match="until_not_later"):
        await place(until)
    await place(until + 60_000)
    assert [one["until"] for one in await _active(world, agreement)] == [until // 1000 + 60, until // 1000]


async def test_nothing_is_held_without_a_case_or_a_resolution(sqlite_world: World) -> None:
    with pytest.raises(Invalid, match="hold_without_case"):
        await sqlite_world.hold(HoldSubject.DATASET, FLIGHTS, case="")


async def test_a_pair_of_another_alliance_cannot_be_held(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.signed()
    for kind, subject in (
        (HoldSubject.TERM, f"{agreement}:planes"),
        (HoldSubject.RECIPIENT_OF_OWNER, f"{world.stranger.id}:{world.airline.id}"),
        (HoldSubject.RECIPIENT_OF_OWNER, f"{world.bank.id}:{world.stranger.id}"),
    ):
        with pytest.raises(NotFound):
            await world.hold(kind, subject)
    with pytest.raises(Invalid, match="subject_malformed"):
        await world.hold(HoldSubject.TERM, agreement)

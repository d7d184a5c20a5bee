"""The alliance ends an agreement by two operators and a case; either party still ends it alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from gateway.agreements import HoldSubject
from gateway.database import Query
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused
from tests.agreements.world import World


def terms(agreement: str, case: str = "c-1", **more: Any) -> dict[str, Any]:
    return {"agreement": agreement, "case": case, **more}


async def test_two_operators_end_an_agreement_for_good_and_its_owner_is_narrowed(world: World) -> None:
    agreement, other = await world.signed(), await world.signed()
    proposal = await world.proposed("end_agreement", terms(agreement))
    before = await world.narrowing(world.airline), await world.narrowing(world.bank)
    assert await world.in_force(agreement), "nothing is done yet"
    assert await world.approvals.approve(proposal, operator="second") == ""
    assert (await world.in_force(agreement), await world.in_force(other)) == (False, True)
    assert (await world.narrowing(world.airline), await world.narrowing(world.bank)) == (before[0] + 1, before[1])
    [entry] = [one for one in await world.entries() if one.get("act") == "agreement_terminated"]
    found = await world.agreements.load(agreement)
    assert found is not None
    assert entry["log"] == f"alliance.test/{world.airline.id}"
    assert entry["actor"] == {"operator": "root", "approver": "second", "proposal": proposal}
    assert (entry["agreement"], entry["case"], entry["version"]) == (agreement, "c-1", found.version)
    assert entry["terms_sha256"] == found.sha256
    with pytest.raises(Conflicting, match="agreement_terminated"):
        await world.sign(world.bank, agreement)


async def test_one_operator_ends_no_agreement(world: World) -> None:
    agreement = await world.signed()
    proposal = await world.proposed("end_agreement", terms(agreement))
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await world.approvals.approve(proposal, operator="root")
    assert await world.in_force(agreement)


async def test_an_agreement_that_a_party_ended_meanwhile_is_not_ended_again(world: World) -> None:
    agreement = await world.signed()
    proposal = await world.proposed("end_agreement", terms(agreement))
    await world.life.terminate(world.bank.subject, agreement)
    before = await world.entries(), await world.narrowing(world.airline)
    with pytest.raises(Conflicting, match="agreement_terminated"):
        await world.approvals.approve(proposal, operator="second")
    assert (await world.entries(), await world.narrowing(world.airline)) == before
    with pytest.raises(Conflicting, match="agreement_terminated"):
        await world.proposed("end_agreement", terms(agreement))


async def test_a_draft_and_an_agreement_that_proves_nothing_are_ended_too(world: World) -> None:
    draft, forged = await world.drafted(), await world.drafted()
    async with world.database.transaction() as tx:
        unsigned = f"UPDATE agreement SET version = version + 1, state = 'signed', signed_at = 1 WHERE id = '{forged}'"
        assert await tx.run(Query(text(unsigned))) == 1
    found = await world.agreements.load(forged)
    assert (found is not None and found.state) == "tampered"
    for agreement in (draft, forged):
        await world.by_two(world.alliance, "end_agreement", **terms(agreement))
    ended = [one["agreement"] for one in await world.entries() if one.get("act") == "agreement_terminated"]
    assert ended == [draft, forged]


async def test_what_cannot_be_ended_is_not_proposed(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.signed()
    with pytest.raises(NotFound):
        await world.proposed("end_agreement", terms(agreement), world.other_alliance)
    with pytest.raises(NotFound):
        await world.proposed("end_agreement", terms("none"))
    for arguments, code in (
        (terms(agreement, case='c"1'), "case_malformed"),
        ({"agreement": agreement}, "invalid_argument"),
        ({"case": "c-1"}, "invalid_argument"),
        (terms(agreement, more=1), "unknown_argument"),
    ):
        with pytest.raises(Invalid, match=code):
            await world.proposed("end_agreement", arguments)


async def test_a_hold_that_was_lifted_meanwhile_is_not_lifted_again(world: World) -> None:
    agreement = await world.signed()
    hold = await world.hold(HoldSubject.AGREEMENT, agreement)
    _, arguments = await world.holds.lifting(hold)
    stale = await world.proposed("lift_hold", arguments)
    await world.lift(hold)
    again = await world.hold(HoldSubject.AGREEMENT, agreement)
    before = await world.entries()
    with pytest.raises(Conflicting, match="hold_lifted"):
        await world.approvals.approve(stale, operator="second")
    assert await world.entries() == before
    assert (await world.holds.lifting(again))[1] == {**arguments, "hold": again}
    with pytest.raises(Conflicting, match="hold_lifted"):
        await world.proposed("lift_hold", arguments)


async def test_one_operator_places_a_hold_and_does_not_lift_it(world: World) -> None:
    hold = await world.hold(HoldSubject.AGREEMENT, await world.signed())
    _, arguments = await world.holds.lifting(hold)
    proposal = await world.proposed("lift_hold", arguments)
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await world.approvals.approve(proposal, operator="root")
    answers = await asyncio.gather(
        *(world.approvals.approve(proposal, operator=f"second {number}") for number in range(4)), return_exceptions=True
    )
    assert {one.code for one in answers if isinstance(one, GatewayError)} == {"proposal_decided"}
    assert [one["act"] for one in await world.entries() if one["kind"] == "hold"] == ["hold_placed", "hold_lifted"]


async def test_a_hold_is_lifted_as_what_it_is_and_by_its_own_alliance(sqlite_world: World) -> None:
    world = sqlite_world
    hold = await world.hold(HoldSubject.AGREEMENT, await world.signed())
    alliance, arguments = await world.holds.lifting(hold)
    assert alliance == world.alliance
    with pytest.raises(NotFound):
        await world.proposed("lift_hold", arguments, world.other_alliance)
    for other in ({"hold": hold}, {**arguments, "case": "c-2"}, {**arguments, "more": 1}):
        with pytest.raises(Invalid, match="another_hold"):
            await world.proposed("lift_hold", other)
    with pytest.raises(Invalid, match="invalid_argument"):
        await world.proposed("lift_hold", {})

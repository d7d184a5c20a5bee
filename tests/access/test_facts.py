"""Facts beside the terms count at the next call on every process, to the second; what is masked is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, update

from gateway.access.deciding import Deciding
from gateway.access.enforcement import EnforcementPoint
from gateway.access.governing import GoverningFacts
from gateway.access.request import AccessRequest
from gateway.agreements import HoldSubject, touch_agreement
from gateway.agreements.tables import agreement_third_party, hold
from gateway.catalog.ownership import Ownership
from gateway.confidentiality import Circumstances
from gateway.database import Query, Reading
from gateway.errors import NotFound, OnHold, Refused
from gateway.ledger import Draft, Kind
from gateway.members.revision import touch_member
from gateway.members.tables import member
from tests.access.world import ENGINES, Deal, Shared, second_process, shared_on

_NEVER = {"from": 0, "until": 0}
_SET = Query(
    update(member)
    .where(member.c.id == bindparam("the_id"))
    .values(clearance=bindparam("to_clearance"), qualified_until=bindparam("to_until"), country=bindparam("to_country"))
)
_UNTIL = Query(update(hold).where(hold.c.id == bindparam("the_id")).values(until=bindparam("to_until")))
_NAME = Query(insert(agreement_third_party))
_LATE = 253_402_300_799_000


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


class Stated(Circumstances):
    """The gateway's own circumstances with some of them stated otherwise."""

    def __init__(self, **stated: Any) -> None:
        super().__init__(Ownership())
        self.stated = stated

    async def of(self, reading: Reading, **named: str) -> dict[str, Any]:
        beside = await super().of(reading, **named)
        return {**beside, "circumstances": {**beside["circumstances"], **self.stated}}


def _with(shared: Shared, circumstances: Circumstances) -> EnforcementPoint:
    """The gateway's enforcement point over other circumstances."""
    parts = {name.removeprefix("_"): part for name, part in vars(shared.gateway.enforcement).items()}
    facts = parts["facts"]
    own = GoverningFacts(facts._database, facts._terms, facts._datasets, circumstances)
    return EnforcementPoint(**(parts | {"facts": own, "deciding": Deciding(shared.gateway.decisions, shared.clock)}))


async def _wish(shared: Shared, deal: Deal, **over: Any) -> AccessRequest:
    subject = await shared.subject(shared.hotel, await shared.token(deal))
    return AccessRequest(
        subject=subject, agreement=deal.agreement, dataset=deal.dataset, purpose="market_analysis", **over
    )


async def _refused(point: EnforcementPoint, wish: AccessRequest) -> list[str]:
    with pytest.raises(Refused) as refusal:
        await point.release(wish)
    return [reason.code for reason in refusal.value.reasons]


async def _change(shared: Shared, *, clearance: int = 4, until_ms: int = _LATE, country: str = "CN") -> None:
    """What the policy sees of the hotel, with its entry."""
    async with shared.gateway.ledger.changing(shared.alliance.id, narrows=[shared.bank.id]) as change:
        await change.tx.run(_SET, the_id=shared.hotel.id, to_clearance=clearance, to_until=until_ms, to_country=country)
        await touch_member(change, shared.hotel.id)
        facts = {"act": "member_changed", "actor": {"operator": "test"}, "member": shared.hotel.id}
        change.enter(Draft(log=shared.alliance.id, kind=Kind.ADMIN, facts=facts))


async def test_a_fact_of_a_member_counts_at_the_next_call_on_every_process(shared: Shared) -> None:
    deal = await shared.market()
    wish = await _wish(shared, deal)
    async with second_process(shared) as other:
        for point in (shared.gateway.enforcement, other.enforcement):
            assert len((await point.release(wish)).records) == 3
        await _change(shared, clearance=0)
        for point in (other.enforcement, shared.gateway.enforcement):
            assert await _refused(point, wish) == ["CLEARANCE"]
        await _change(shared)
        for point in (shared.gateway.enforcement, other.enforcement):
            assert len((await point.release(wish)).records) == 3


async def test_papers_run_out_by_themselves_to_the_second(shared: Shared) -> None:
    deal = await shared.market()
    wish = await _wish(shared, deal)
    await _change(shared, until_ms=shared.clock.ms + 60_000)
    shared.clock.pass_seconds(59)
    assert len((await shared.gateway.enforcement.release(wish)).records) == 3
    shared.clock.pass_seconds(1)
    assert await _refused(shared.gateway.enforcement, wish) == ["QUALIFICATION_EXPIRED"]


async def test_a_hold_with_an_end_is_lifted_by_its_end(shared: Shared) -> None:
    deal = await shared.market()
    wish = await _wish(shared, deal)
    held = await shared.gateway.holds.place(
        shared.alliance.id, HoldSubject.DATASET, deal.dataset, case="case-1", operator="test"
    )
    async with shared.gateway.ledger.changing() as change:
        await change.tx.run(_UNTIL, the_id=held, to_until=shared.clock.ms + 60_000)
        await touch_agreement(change, deal.agreement)
    with pytest.raises(OnHold) as refusal:
        await shared.gateway.enforcement.release(wish)
    assert refusal.value.case == "case-1"
    shared.clock.pass_seconds(59)
    with pytest.raises(OnHold):
        await shared.gateway.enforcement.release(wish)
    shared.clock.pass_seconds(1)
    assert len((await shared.gateway.enforcement.release(wish)).records) == 3


async def test_a_hold_that_ends_within_a_second_holds_until_it_has_ended(shared: Shared) -> None:
    deal = await shared.market()
    wish = await _wish(shared, deal)
    held = (shared.alliance.id, HoldSubject.DATASET, deal.dataset)
    end = shared.clock.ms + 60_500
    await shared.gateway.holds.place(*held, case="case-1", operator="test", until_ms=end)
    shared.clock.ms = end - 1
    with pytest.raises(OnHold):
        await shared.gateway.enforcement.release(wish)
    shared.clock.ms = end + 500
    assert len((await shared.gateway.enforcement.release(wish)).records) == 3


async def test_touching_an_agreement_leaves_its_version_and_its_proof_alone(shared: Shared) -> None:
    deal = await shared.market()
    before = await shared.gateway.agreements.load(deal.agreement)
    async with shared.gateway.ledger.changing() as change:
        await touch_agreement(change, deal.agreement)
    assert await shared.gateway.agreements.load(deal.agreement) is before
    async with shared.gateway.ledger.changing() as change:
        with pytest.raises(NotFound):
            await touch_agreement(change, "none")
        with pytest.raises(NotFound):
            await touch_member(change, "none")


async def test_a_side_that_takes_no_part_any_more_refuses_both(shared: Shared) -> None:
    deal = await shared.market()
    wish = await _wish(shared, deal)
    for side in ("owner_participation", "recipient_participation"):
        assert await _refused(_with(shared, Stated(**{side: _NEVER})), wish) == ["NOT_OPTED_IN"]


async def test_a_table_that_names_a_third_party_grants_it_nothing(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.stranger.token()
    assert (await shared.stranger.get("/v1/members", token)).status_code == 200  # learns the nonce
    subject = await shared.subject(shared.stranger, token)
    wish = (await _wish(shared, deal))._replace(subject=subject)
    with pytest.raises(NotFound):
        await shared.gateway.enforcement.release(wish)
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_NAME, agreement_id=deal.agreement, member_id=shared.stranger.id)
    codes = await _refused(shared.gateway.enforcement, wish)
    assert codes[0] == "AGREEMENT_NOT_IN_FORCE"
    assert "ONWARD_CONSENT_MISSING" in codes

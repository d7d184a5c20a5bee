"""A third party reads for the recipient: it gets no further than the recipient, and sees nothing but its reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import bindparam, update

from gateway.agreements import HoldSubject
from gateway.agreements.held import access_of
from gateway.database import Query
from gateway.members.revision import touch_member
from gateway.members.tables import member
from tests.access.world import ENGINES, Deal, Shared, reasons, records, shared_on
from tests.alliance import Member
from tests.confiding import confided, done, enlist, grant, person_of

_QUALIFIED = Query(update(member).where(member.c.id == bindparam("the_id")).values(qualified_until=bindparam("until")))


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, getattr(request, "param", "sqlite")) as alliance:
        yield alliance


async def _processing(shared: Shared) -> tuple[Deal, str]:
    """A deal that the stranger processes for the hotel, with the bank's grant, and the stranger's token."""
    deal = await shared.market(onward="written_consent", third_parties=[shared.stranger.id])
    done(await grant(shared.bank, deal.agreement, shared.stranger.id, "market_analysis"))
    token = await shared.stranger.token(shared.stranger.under(deal.agreement, deal.dataset))
    assert len(records(await shared.stranger.get(deal.path, token))) == 3
    return deal, token


@pytest.mark.parametrize("shared", ENGINES, indirect=True)
async def test_a_third_party_stops_where_the_recipient_that_it_reads_for_is_stopped(shared: Shared) -> None:
    deal, token = await _processing(shared)
    held = access_of(shared.hotel.id, shared.bank.id)
    hold = await shared.gateway.holds.place(
        shared.alliance.id, HoldSubject.RECIPIENT_OF_OWNER, held, case="leak", operator="test"
    )
    refused = await shared.stranger.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (423, [("DISPUTED_ITEM", "7.2.3")])
    await shared.alliance.lift(hold)
    assert len(records(await shared.stranger.get(deal.path, token))) == 3
    await shared.gateway.members.suspend(shared.hotel.id, case="c", operator="test")
    refused = await shared.stranger.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("MEMBER_SUSPENDED", "9.2.3")])
    await shared.alliance.readmit(shared.hotel.id, case="c")
    assert len(records(await shared.stranger.get(deal.path, token))) == 3


async def test_a_third_party_reads_no_longer_than_the_recipients_papers_are_valid(shared: Shared) -> None:
    deal, token = await _processing(shared)
    async with shared.gateway.ledger.changing(narrows=[shared.bank.id]) as change:
        await change.tx.run(_QUALIFIED, the_id=shared.hotel.id, until=shared.clock.ms + 60_000)
        await touch_member(change, shared.hotel.id)
    shared.clock.pass_seconds(59)
    assert len(records(await shared.stranger.get(deal.path, token))) == 3
    shared.clock.pass_seconds(1)
    refused = await shared.stranger.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("QUALIFICATION_EXPIRED", "2.1.1")])


async def test_a_third_party_sees_nothing_of_an_agreement_but_its_own_reads_and_grants(shared: Shared) -> None:
    deal, _ = await _processing(shared)
    bank, hotel, stranger = shared.bank, shared.hotel, shared.stranger
    await confided(hotel, deal.agreement, deal.dataset, bank.id)
    own = await person_of(stranger)
    done(await enlist(stranger, deal.agreement, deal.dataset, own))
    of_agreement, of_dataset = (
        f"/v1/agreements/{deal.agreement}",
        f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}",
    )
    for path in (
        of_agreement,
        f"{of_agreement}/confidentiality",
        f"{of_agreement}/memos",
        f"{of_dataset}/participation",
        f"{of_dataset}/assessments",
        f"{of_dataset}/transfers",
    ):
        assert (await _seen(hotel, path)) == 200, path
        assert (await _seen(stranger, path)) == 404, path
    roster = await stranger.get(f"{of_dataset}/roster", await stranger.token())
    assert [one["person"] for one in roster.json()["items"]] == [own]
    assert (await stranger.get("/v1/agreements", await stranger.token())).json()["items"] == []


async def _seen(member: Member, path: str) -> int:
    return (await member.get(path, await member.token())).status_code

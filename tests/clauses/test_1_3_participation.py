"""Clause 1.3: nobody is made to share (1.3.1), and nothing is shared against the law (1.3.4)."""

from __future__ import annotations

import pytest
from sqlalchemy import Text, bindparam, update

from gateway.database import Query
from gateway.errors import Invalid
from gateway.members.revision import touch_member
from gateway.members.tables import member
from tests.access.world import Deal, Shared, reasons, records
from tests.alliance import MARKET_SCHEMA
from tests.confiding import EVIDENCE, assess, at, done, file, lasting, opt_in, opt_out

_MOVE = Query(update(member).where(member.c.id == bindparam("the_id")).values(country=bindparam("to", type_=Text)))


def _assessments(deal: Deal) -> str:
    return f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/assessments"


async def signed_only(shared: Shared) -> Deal:
    """An agreement that both signed, and nothing else."""
    dataset = await shared.places()
    agreement, text = await shared.bank.draft(shared.hotel, dataset, ["code", "city"])
    await shared.bank.confirm(shared.hotel)
    await shared.hotel.confirm(shared.bank)
    for party in (shared.bank, shared.hotel):
        assert (await party.sign(agreement, text)).status_code < 300
    return Deal(agreement, dataset)


async def test_1_3_1_a_signed_agreement_shares_nothing_until_both_take_part(shared: Shared) -> None:
    deal = await signed_only(shared)
    token = await shared.token(deal)
    for party in (shared.bank, shared.hotel):
        refused = await shared.hotel.get(deal.path, token)
        assert (refused.status_code, reasons(refused.json())) == (403, [("NOT_OPTED_IN", "1.3.1")])
        done(await opt_in(party, deal.agreement, deal.dataset))
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


async def test_1_3_1_either_leaves_at_once_without_a_breach_and_may_return(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    for party in (shared.hotel, shared.bank):
        assert len(records(await shared.hotel.get(deal.path, token))) == 3
        before = await shared.entries(shared.bank.id)
        left = done(await opt_out(party, deal.agreement, deal.dataset))
        assert [left["owner"]["takes_part"], left["recipient"]["takes_part"]].count(False) == 1
        refused = await shared.hotel.get(deal.path, token)
        assert (refused.status_code, reasons(refused.json())) == (403, [("NOT_OPTED_IN", "1.3.1")])
        entered = (await shared.entries(shared.bank.id))[len(before) :]
        assert [entry.get("act", entry["kind"]) for entry in entered] == ["opted_out", "access"]
        assert done(await opt_out(party, deal.agreement, deal.dataset)) == left
        done(await opt_in(party, deal.agreement, deal.dataset))


async def test_1_3_1_declaring_and_joining_create_no_share(shared: Shared) -> None:
    await shared.bank.declare(MARKET_SCHEMA)
    newcomer = await shared.alliance.join("newcomer")
    assert (await newcomer.get("/v1/agreements", await newcomer.token())).json()["items"] == []


async def test_1_3_4_personal_data_does_not_leave_without_an_impact_assessment_that_runs(shared: Shared) -> None:
    deal = await shared.personal([1])
    [found] = done(await file(shared.hotel, _assessments(deal), method="GET"))["items"]
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    done(await file(shared.bank, f"{_assessments(deal)}/{found['id']}", method="DELETE"))
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("PIA_MISSING", "1.3.4")])
    by_recipient = await assess(shared.hotel, deal.agreement, deal.dataset)
    assert (by_recipient.status_code, reasons(by_recipient.json())) == (403, [("OWNER_ONLY", "")])
    done(await assess(shared.bank, deal.agreement, deal.dataset, until=at(shared.bank.now + 100)))
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    shared.clock.pass_seconds(100)
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("PIA_MISSING", "1.3.4")])


async def test_1_3_4_an_assessment_is_kept_three_years_at_least_and_has_its_sections(shared: Shared) -> None:
    deal = await shared.personal([1])
    for over, field in (
        ({"retention_years": 2}, "/retention_years"),
        ({"sections": {"purpose_and_necessity": "x"}}, "/sections/impact_and_risks"),
        ({"report_sha256": EVIDENCE[:-1]}, "/report_sha256"),
        ({"until": "2030-01-01T00:00:00+08:00"}, "/until"),
        (lasting(shared.bank, begins=10, ends=10), "/until"),
        (lasting(shared.bank, begins=-20, ends=-10), "/until"),
    ):
        refused = await assess(shared.bank, deal.agreement, deal.dataset, **over)
        assert (refused.status_code, refused.json()["field"]) == (400, field), refused.text


async def test_1_3_4_data_crosses_a_border_only_by_a_mechanism_that_two_operators_accepted(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    await move_abroad(shared, "DE")
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("CROSS_BORDER_BLOCKED", "1.3.4")])
    transfers = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/transfers"
    stated = {"kind": "standard_contract", "number": "粤网信备〔2026〕0001号", "until": at(shared.bank.now + 1000)}
    assert (await file(shared.hotel, transfers, stated)).status_code == 403
    filed = done(await file(shared.bank, transfers, stated))
    assert (await shared.hotel.get(deal.path, token)).status_code == 403
    alliance, arguments = await shared.gateway.confidentiality.transfers.acceptance(filed["id"])
    assert alliance == shared.alliance.id
    await shared.alliance.by_two("accept_transfer", **arguments)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    done(await file(shared.bank, f"{transfers}/{filed['id']}", method="DELETE"))
    assert reasons((await shared.hotel.get(deal.path, token)).json()) == [("CROSS_BORDER_BLOCKED", "1.3.4")]


async def test_1_3_4_a_mechanism_is_accepted_as_it_was_filed_and_for_as_long_as_it_runs(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    await move_abroad(shared, "DE")
    transfers = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/transfers"
    stated = {"kind": "certification", "number": "C-1", "until": at(shared.bank.now + 60)}
    filed = done(await file(shared.bank, transfers, stated))
    _, arguments = await shared.gateway.confidentiality.transfers.acceptance(filed["id"])
    for change in ({"number": "C-2"}, {"until": at(shared.bank.now + 1000)}, {"kind": "exempt"}):
        with pytest.raises(Invalid, match="another_transfer"):
            await shared.alliance.by_two("accept_transfer", **arguments | change)
    await shared.alliance.by_two("accept_transfer", **arguments)
    done(await file(shared.bank, transfers, stated | {"number": "C-3"}))  # filed, and not accepted
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    shared.clock.pass_seconds(60)
    expired = await shared.hotel.get(deal.path, token)
    assert (expired.status_code, reasons(expired.json())) == (403, [("CROSS_BORDER_BLOCKED", "1.3.4")])


async def move_abroad(shared: Shared, country: str) -> None:
    """The hotel is of another country from now on."""
    async with shared.gateway.ledger.changing(shared.alliance.id) as change:
        await change.tx.run(_MOVE, the_id=shared.hotel.id, to=country)
        await touch_member(change, shared.hotel.id)

"""What follows from a breach: the text breaks off, and suspension by decision of a case is our inference."""

from __future__ import annotations

from tests.access.world import Shared, reasons, records


async def test_9_2_3_a_suspended_member_gets_nothing_and_must_still_honour_withdrawals(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    owners = await shared.bank.token({"type": "alliance_member", "actions": ["withdraw"]})
    await shared.gateway.members.suspend(shared.bank.id, case="case-1", operator="test")
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("MEMBER_SUSPENDED", "9.2.3")])
    withdrawn = await shared.bank.post(f"/v1/datasets/{deal.dataset}/withdrawals", owners, {"subject": "C00001"})
    assert withdrawn.status_code < 300
    await shared.alliance.readmit(shared.bank.id, case="case-1")
    assert records(await shared.hotel.get(deal.path, token)) == {}

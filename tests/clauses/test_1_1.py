"""The alliance acts for stated purposes, and for no other."""

from __future__ import annotations

from tests.access.world import Shared, reasons, records


async def test_1_1_a_purpose_outside_the_registry_is_refused_and_on_record_even_if_agreed(shared: Shared) -> None:
    deal = await shared.market(purposes=["curiosity"])
    answer = await shared.hotel.get(deal.path, await shared.token(deal, "curiosity"))
    assert (answer.status_code, reasons(answer.json())) == (403, [("PURPOSE_UNKNOWN", "1.1")])
    assert "用途" in answer.json()["reasons"][0]["title"]["zh-CN"]
    entry = await shared.last_access()
    assert (entry["effect"], entry["purpose"], reasons(entry)) == ("deny", "curiosity", [("PURPOSE_UNKNOWN", "1.1")])


async def test_1_1_every_purpose_of_the_registry_can_be_agreed_on(shared: Shared) -> None:
    purposes = ["market_analysis", "product_information", "joint_marketing", "customer_referral"]
    purposes += ["service_delivery", "personalisation", "settlement", "risk_control"]
    deal = await shared.market(purposes=purposes)
    token = await shared.token(deal, *purposes)
    for purpose in purposes:
        assert len(records(await shared.hotel.get(deal.path, token, purpose=purpose))) == 3

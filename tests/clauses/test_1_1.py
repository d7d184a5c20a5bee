"""The alliance acts for stated purposes, and for no other."""

from __future__ import annotations

import json

import pytest

from gateway.agreements import Drafting
from tests.access.world import Shared, reasons, records


async def test_1_1_a_purpose_outside_the_registry_is_not_agreed_on(shared: Shared) -> None:
    dataset, token = await shared.places(), await shared.bank.token()
    _, text = await shared.bank.draft(shared.hotel, dataset, ["code"])
    terms = json.loads(text)
    terms["datasets"][0]["purposes"] = ["curiosity"]
    proposal = {name: terms[name] for name in terms if name not in ("v", "alliance", "agreement")}
    answer = await shared.bank.post("/v1/agreements", token, proposal)
    assert (answer.status_code, answer.json()["code"]) == (400, "purpose_unknown")
    assert answer.json()["field"] == "/datasets/0/purposes/0"


async def test_1_1_a_purpose_outside_the_registry_is_refused_and_on_record_even_if_agreed(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drafting, "_check_purposes", lambda *_: None)  # as if the registry had it then
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

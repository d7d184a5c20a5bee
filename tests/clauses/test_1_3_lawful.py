"""Lawful and compliant: a lawful basis per flow, and decisions that can be made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select

from gateway.access.tables import decided_case
from gateway.database import Query
from gateway.policy import load_bundle
from gateway.policy.case import read_case
from gateway.policy.model import believe
from gateway.policy.rego import compile_bundle
from tests.access.world import Deal, Shared, reasons, records

_CASE = Query(select(decided_case.c.document).where(decided_case.c.sha256 == bindparam("sha256")))
_POLICIES = Path(__file__).parents[2] / "policies"


async def _personal(shared: Shared, **basis: str) -> Deal:
    dataset = await shared.people([1])
    part = {"dataset": dataset, "fields": ["name"], "purposes": ["customer_referral"], "methods": ["api"], **basis}
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["name"], datasets=[part]), dataset)
    await shared.bank.consent(dataset, shared.hotel, "C00001")
    return deal


async def test_1_3_4_personal_data_without_a_lawful_basis_is_refused(shared: Shared) -> None:
    for basis in ({}, {"lawful_basis": "non_personal"}):
        deal = await _personal(shared, **basis)
        answer = await shared.hotel.get(deal.path, await shared.referral_token(deal))
        assert (answer.status_code, reasons(answer.json())) == (403, [("NO_LAWFUL_BASIS", "1.3.4")])
        assert "PIPL art. 13" in answer.json()["reasons"][0]["law"]
    agreed = await _personal(shared, lawful_basis="contract")
    assert len(records(await shared.hotel.get(agreed.path, await shared.referral_token(agreed)))) == 1


async def test_1_3_4_a_dataset_about_nobody_needs_no_basis(shared: Shared) -> None:
    dataset = await shared.places()
    part = {"dataset": dataset, "fields": ["code"], "purposes": ["market_analysis"], "methods": ["api"]}
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code"], datasets=[part]), dataset)
    assert len(records(await shared.hotel.get(deal.path, await shared.token(deal)))) == 3


async def test_1_3_4_every_decision_on_record_replays_under_its_policy_with_the_same_answer(shared: Shared) -> None:
    deal = await shared.market(purposes=["market_analysis", "settlement"])
    token = await shared.token(deal)
    await shared.hotel.get(deal.path, token)
    await shared.hotel.get(deal.path, token, purpose="settlement")
    await shared.hotel.get(deal.path, token, fields="margin")
    subject = await shared.subject(shared.bank, await shared.bank.token())
    await shared.gateway.life.terminate(subject, deal.agreement)
    await shared.hotel.get(deal.path, token)
    entries = await shared.accesses()
    assert [entry["effect"] for entry in entries] == ["permit", "deny", "deny", "deny"]
    bundle = load_bundle(_POLICIES)
    rules = compile_bundle(bundle)
    for entry in entries:
        assert entry["policy"]["digest"] == bundle.digest
        document = await _document(shared, entry)
        case = read_case(document)
        again = believe(rules.judge(case), document)
        assert case.input_sha256 == entry["policy"]["input_sha256"]
        assert again.effect.value == entry["effect"]
        assert [(one.code, one.clause) for one in again.reasons] == reasons({"reasons": [], **entry})
        assert again.valid_until == entry["policy"]["valid_until"]


async def _document(shared: Shared, entry: dict[str, Any]) -> dict[str, Any]:
    row = await shared.gateway.database.one(_CASE, sha256=entry["policy"]["case_sha256"])
    assert row is not None
    kept = json.loads(row["document"])
    return {**kept, "context": {**kept["context"], "now": entry["judged_at"]}}

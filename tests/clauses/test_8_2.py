"""Clause 8.2: who may see what is confidential, and what for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway.web import web
from tests.access.world import Shared, reasons, records, second_process, shared_on
from tests.alliance import Alliance
from tests.confiding import confided, done, file, grant, grant_text, opt_in, person_of, signed, strike


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_8_2_1_a_person_who_is_struck_is_cut_off_at_the_next_call_on_every_process(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with shared_on(request, tmp_path, engine) as shared, second_process(shared) as other:
        transport = httpx.ASGITransport(web(other), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=other.settings.base_url) as http:
            elsewhere = Alliance(other, http, shared.alliance.id, shared.alliance.members)
            there = replace(shared.hotel, alliance=elsewhere, nonces={})
            deal = await shared.market()
            person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
            token = await shared.hotel.token(shared.hotel.under(deal.agreement, deal.dataset) | {"person": person})
            for side in (shared.hotel, there):
                assert len(records(await side.get(deal.path, token))) == 3
            done(await strike(shared.bank, deal.agreement, deal.dataset, person))
            for side in (there, shared.hotel):
                answer = await side.get(deal.path, token)
                assert (answer.status_code, reasons(answer.json())) == (403, [("NOT_NEED_TO_KNOW", "8.2.1")])


async def test_8_2_1_a_person_who_has_left_and_one_who_was_never_listed_see_nothing(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    for name in (await person_of(shared.hotel), await person_of(shared.bank), "nobody-at-all"):
        token = await shared.hotel.token(shared.hotel.under(deal.agreement, deal.dataset) | {"person": name})
        answer = await shared.hotel.get(deal.path, token)
        assert (answer.status_code, reasons(answer.json())) == (403, [("NOT_NEED_TO_KNOW", "8.2.1")])
    token = await shared.hotel.token(shared.hotel.under(deal.agreement, deal.dataset) | {"person": person})
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    done(await file(shared.hotel, f"/v1/persons/{person}", method="DELETE"))
    answer = await shared.hotel.get(deal.path, token)
    assert (answer.status_code, reasons(answer.json())) == (403, [("NOT_NEED_TO_KNOW", "8.2.1")])


async def test_8_2_2_a_sub_processor_needs_the_owners_signed_grant_and_loses_it_when_it_is_revoked(
    shared: Shared,
) -> None:
    processor = shared.stranger
    deal = await shared.market(onward="written_consent", third_parties=[processor.id])
    token = await processor.token(processor.under(deal.agreement, deal.dataset))
    refused = await processor.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("ONWARD_CONSENT_MISSING", "8.2.2")])
    by_recipient = grant_text(shared.hotel, deal.agreement, processor.id, "market_analysis")
    grants = f"/v1/agreements/{deal.agreement}/onward-grants"
    forged = await file(shared.hotel, grants, {"jws": signed(shared.hotel, "onward-grant+jws", by_recipient)})
    assert (forged.status_code, reasons(forged.json())) == (403, [("OWNER_ONLY", "")])
    text = grant_text(shared.bank, deal.agreement, processor.id, "market_analysis")
    jws = signed(shared.bank, "onward-grant+jws", text)
    given = done(await file(shared.bank, grants, {"jws": jws}))
    assert len(records(await processor.get(deal.path, token))) == 3
    done(await file(shared.bank, f"{grants}/{given['id']}", method="DELETE"))
    refused = await processor.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("ONWARD_CONSENT_MISSING", "8.2.2")])
    for again in (jws, signed(shared.bank, "onward-grant+jws", text)):
        replayed = await file(shared.bank, grants, {"jws": again})
        assert (replayed.status_code, replayed.json()["code"]) == (409, "statement_spent")
    assert (await processor.get(deal.path, token)).status_code == 403
    done(await grant(shared.bank, deal.agreement, processor.id, "market_analysis"))
    assert len(records(await processor.get(deal.path, token))) == 3


async def test_8_2_2_a_grant_for_one_purpose_is_none_for_another(shared: Shared) -> None:
    processor, purposes = shared.stranger, ["market_analysis", "risk_control"]
    terms = {"onward": "written_consent", "third_parties": [processor.id], "purposes": purposes}
    deal = await shared.market(**terms)
    done(await grant(shared.bank, deal.agreement, processor.id, "risk_control"))
    token = await processor.token(processor.under(deal.agreement, deal.dataset, *purposes))
    refused = await processor.get(deal.path, token, purpose="market_analysis")
    assert reasons(refused.json()) == [("ONWARD_CONSENT_MISSING", "8.2.2")]
    assert len(records(await processor.get(deal.path, token, purpose="risk_control"))) == 3


async def test_8_2_2_even_own_use_for_another_purpose_is_refused(shared: Shared) -> None:
    deal = await shared.market()
    done(await opt_in(shared.hotel, deal.agreement, deal.dataset))
    token = await shared.token(deal)
    refused = await shared.hotel.get(deal.path, token, purpose="joint_marketing")
    assert (refused.status_code, reasons(refused.json())) == (403, [("PURPOSE_NOT_AGREED", "8.2.2")])

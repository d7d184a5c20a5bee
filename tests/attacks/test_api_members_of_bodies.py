"""Every member of bodies and signed statements, one at a time replaced by what nobody should send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.web import web
from tests.access.api import NO_SUCH, Operation, as_bank, places, replaced, told
from tests.access.world import ENGINES, Deal, Shared, shared_on
from tests.confiding import (
    EVIDENCE,
    assessment,
    at,
    done,
    file,
    grant_text,
    lasting,
    person_of,
    person_text,
    signed,
    undertaking,
)

HOSTILE: dict[str, Any] = {
    "null": None,
    "a lone surrogate": "\ud800",
    "a zero": "a\x00b",
    "bidi": "\u202eevil",
    "blank": " ",
    "a very long text": "x" * 60_000,
    "a huge integer": 10**400,
    "beyond 64 bits": 2**63,
    "a negative": -1,
    "a fraction": 0.5,
    "true": True,
    "a list": [[]],
    "an object": {"\ud800": {}},
}
UNSIGNABLE = ("a lone surrogate", "a very long text", "a huge integer", "beyond 64 bits", "a fraction", "an object")
"""What canonical text, or a header of this size, cannot hold."""
NAMING = ("agreement", "owner", "recipient")
"""Members whose value may be an id that names nothing."""
JSON = {"Content-Type": "application/json"}
MEMO = {"said": "The margin is 7.", "by": "Li Na", "to": "Wang Fang", "answer_within_days": 3}


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


def bodies(shared: Shared, deal: Deal) -> dict[Operation, dict[str, Any]]:
    """A body that the bank could send, by operation; none of them is sent as it is."""
    bank, now = shared.bank, shared.clock.ms // 1000
    proof = [{"name": "photo", "sha256": EVIDENCE}]
    about = {"agreement": deal.agreement, "claim": "Wrong codes."}
    term = {
        "dataset": deal.dataset,
        "fields": ["code"],
        "purposes": ["market_analysis"],
        "methods": ["api"],
        "volume": {"records": 1000, "per_seconds": 60},
        "cadence": {
            "every": "day",
            "on": 0,
            "by": "18:00",
            "time_zone": "Asia/Shanghai",
            "calendar": "CN",
            "grace_days": 1,
            "first": at(now + 90_000)[:10],
        },
        "lawful_basis": "non_personal",
        "retention_days": 30,
    }
    terms = {
        "owner": bank.id,
        "recipient": shared.hotel.id,
        "title": "Places",
        "datasets": [term],
        "start": at(now),
        "end": at(now + 10_000_000),
        "confidentiality_years": 3,
        "onward": "forbidden",
        "frequency": {"requests": 10, "per_seconds": 60},
        "remedies": {"cure_days": 3},
        "dispute": {"forum": "court", "body": "Beijing", "negotiation_days": 3},
        "revenue_ratio": {"owner_bp": 5000, "recipient_bp": 5000},
    }
    place, agreement = "/v1/agreements/{agreement_id}/datasets/{dataset_id}", "/v1/agreements/{agreement_id}"
    return {
        Operation("POST", "/v1/agreements"): terms,
        Operation("POST", "/v1/persons"): {"name": "Li Na"},
        Operation("PUT", f"{place}/roster/{{person_id}}"): {"until": at(now + 1000)},
        Operation("POST", f"{place}/assessments"): assessment(bank),
        Operation("POST", f"{place}/transfers"): {"kind": "standard_contract", "number": "7", "until": at(now + 9000)},
        Operation("POST", f"{place}/releases"): {"fields": ["code"], "ground": "public", "evidence_sha256": EVIDENCE},
        Operation("POST", f"{agreement}/memos"): MEMO | {"owner": bank.id, "said_at": at(now)},
        Operation("POST", f"{agreement}/memo-query"): {"text": "margin"},
        Operation("POST", f"{agreement}/memos/{{memo_id}}/answer"): {"answer": "confirmed"},
        Operation("POST", f"{agreement}/onward-grants"): {"jws": "a.b.c"},
        Operation("POST", "/v1/attestations"): {"jws": "a.b.c"},
        Operation("POST", "/v1/ndas"): {"jws": "a.b.c"},
        Operation("POST", "/v1/persons/{person_id}/nda"): {"jws": "a.b.c"},
        Operation("POST", "/v1/cases"): about
        | {"kind": "dispute", "subject": {"kind": "term", "id": deal.dataset}, "evidence": proof},
        Operation("POST", "/v1/cases/{case_id}/evidence"): {"evidence": proof},
        Operation("POST", "/v1/referrals"): {
            "agreement": deal.agreement,
            "dataset": deal.dataset,
            "subject": "C00001",
            "purpose": "customer_referral",
            "preview": {"city": "Shanghai", "need": "a room", "budget": "500"},
            "contact": {"phone": "13800138000", "email": "li@example.com"},
        },
        Operation("POST", f"{agreement}/referral-policy"): {"rule": "split", "weights": [7000, 3000], "k": 5},
    }


@pytest.fixture
async def deal(shared: Shared) -> Deal:
    return await shared.market()


@pytest.fixture
async def ids(shared: Shared, deal: Deal) -> dict[str, str]:
    """Path parts that name something of the bank's: both parties' agreement, a person, a memo, a case."""
    memo = MEMO | {"owner": shared.bank.id, "said_at": lasting(shared.bank)["from"]}
    told_of = done(await file(shared.hotel, f"/v1/agreements/{deal.agreement}/memos", memo))["id"]
    case = {"kind": "dispute", "agreement": deal.agreement, "claim": "x", "subject": {"kind": "memo", "id": told_of}}
    return {
        "agreement_id": deal.agreement,
        "dataset_id": deal.dataset,
        "person_id": await person_of(shared.bank),
        "memo_id": told_of,
        "case_id": done(await file(shared.hotel, "/v1/cases", case))["id"],
    }


async def test_a_hostile_member_of_a_body_is_a_problem_that_names_it(
    shared: Shared, deal: Deal, ids: dict[str, str]
) -> None:
    described, token, tried = web(shared.gateway).openapi()["paths"], await shared.bank.token(), 0
    for operation, body in bodies(shared, deal).items():
        assert "requestBody" in described[operation.path][operation.method.lower()]
        for way in places(body):
            for kind, value in HOSTILE.items():
                document = json.dumps(replaced(body, way, value)).encode()
                answer = await as_bank(shared, operation, operation.at(**ids), token, content=document, headers=JSON)
                problem = told(answer)
                allowed = {400, 404, 413} if way[-1] in NAMING else {400, 413}
                assert answer.status_code in allowed, (operation, way, kind)
                if answer.status_code == 400:
                    assert problem.get("field") or problem["code"] == "invalid_json", (operation, way, kind, problem)
                tried += 1
    assert tried > 1000


async def test_a_hostile_member_of_a_signed_statement_is_a_problem_that_names_it(
    shared: Shared, deal: Deal, ids: dict[str, str]
) -> None:
    bank, token = shared.bank, await shared.bank.token()
    attested = {"alliance": bank.alliance.id, "member": bank.id, "about": "member", "statement": "True."}
    attested |= {"source": "Own books.", "corrects": NO_SUCH}
    for path, typ, text in (
        ("/v1/attestations", "attestation+jws", attested),
        ("/v1/ndas", "nda+jws", undertaking(bank, shared.hotel.id)),
        (f"/v1/persons/{ids['person_id']}/nda", "nda+jws", person_text(bank, ids["person_id"])),
        (
            f"/v1/agreements/{deal.agreement}/onward-grants",
            "onward-grant+jws",
            grant_text(bank, deal.agreement, shared.stranger.id, "market_analysis"),
        ),
    ):
        for way in places(text):
            for kind, value in HOSTILE.items():
                if kind in UNSIGNABLE:
                    continue
                answer = await bank.post(path, token, {"jws": signed(bank, typ, replaced(text, way, value))})
                problem = told(answer)
                assert answer.status_code == 400, (path, way, kind, problem)
                assert problem["field"], (path, way, kind, problem)

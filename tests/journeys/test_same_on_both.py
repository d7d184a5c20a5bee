"""The same journey on SQLite with the embedded engine and on PostgreSQL with a real OPA: the same decisions and cases.

Ids are drawn at random, so a case is compared after one renaming: each id, by its place in the order in which the
ids of the journey's cases appear, in the order of the entries and of each canonical document.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.access.tables import decided_case
from gateway.agreements import HoldSubject
from gateway.canonical import canonical
from gateway.database import Query
from tests.access.world import PLACES, Deal, MovableClock, Shared, reasons, records, shared_on
from tests.alliance import MARKET_SCHEMA
from tests.confiding import confided, done, enlist, file, opt_in, opt_out, person_of, strike
from tests.services.opa import OPA

_ID = re.compile("[0-9a-f]{32}")
_KEPT = Query(select(decided_case.c.sha256, decided_case.c.document))
_START_MS = 1_790_000_000_000
SECRET_PRICES = MARKET_SCHEMA | {
    "properties": {
        **MARKET_SCHEMA["properties"],
        "price": {**MARKET_SCHEMA["properties"]["price"], "x-class": "secrets", "x-confidentiality": "business_secret"},
    }
}
REFUSED_BY = {
    "OUT_OF_SCOPE",
    "DISPUTED_ITEM",
    "AGREEMENT_NOT_IN_FORCE",
    "NDA_MISSING",
    "NOT_NEED_TO_KNOW",
    "NOT_OPTED_IN",
    "PIA_MISSING",
}


async def _journey(shared: Shared) -> None:
    """Permit, another purpose, a hold, its end, the agreement's end, a stranger."""
    alliance, gateway = shared.alliance, shared.gateway
    deal = await shared.market()
    token = await shared.token(deal)
    assert (await shared.hotel.get(deal.path, token)).status_code == 200
    for fields, status in (("code", 200), ("city,price", 200), ("code,unknown", 403)):
        assert (await shared.hotel.get(deal.path, token, fields=fields)).status_code == status
    shared.clock.pass_seconds(7)
    await gateway.holds.place(alliance.id, HoldSubject.DATASET, deal.dataset, case="case-1", operator="test")
    assert (await shared.hotel.get(deal.path, token)).status_code == 423
    other = await shared.market(["code"])
    both = await shared.hotel.token(shared.hotel.under(other.agreement, other.dataset))
    assert (await shared.hotel.get(other.path, both)).status_code == 200
    await gateway.life.terminate(await shared.subject(shared.bank, await shared.bank.token()), other.agreement)
    assert (await shared.hotel.get(other.path, both)).status_code == 403


async def _journey_in_confidence(shared: Shared) -> None:
    """Masked fields, a person who is struck, opting out and in, and an impact assessment that is taken back."""
    bank, hotel = shared.bank, shared.hotel
    dataset = await bank.declare(SECRET_PRICES)
    assert (await bank.upload(dataset, PLACES)).status_code == 201
    term: dict[str, Any] = {"dataset": dataset, "fields": ["code", "price"], "purposes": ["market_analysis"]}
    term |= {"methods": ["api"], "volume": {"records": 100, "per_seconds": 60}, "retention_days": 30}
    agreement = await bank.agree(hotel, dataset, ["code", "price"], datasets=[term])
    deal = Deal(agreement, dataset)
    trusted = await confided(hotel, agreement, dataset, bank.id)
    unbound = await person_of(hotel)
    done(await enlist(hotel, agreement, dataset, unbound))
    for person, fields in ((trusted, {"code", "price"}), (unbound, {"code"})):
        token = await hotel.token(hotel.under(agreement, dataset) | {"person": person})
        assert {name for one in records(await hotel.get(deal.path, token)).values() for name in one} == fields
    assert (await hotel.get(deal.path, token, fields="price")).status_code == 403
    done(await strike(bank, agreement, dataset, unbound))
    assert (await hotel.get(deal.path, token)).status_code == 403
    done(await opt_out(hotel, agreement, dataset))
    token = await hotel.token(hotel.under(agreement, dataset) | {"person": trusted})
    assert (await hotel.get(deal.path, token)).status_code == 403
    done(await opt_in(hotel, agreement, dataset))
    assert (await hotel.get(deal.path, token)).status_code == 200
    people = await shared.personal([1, 2])
    await bank.consent(people.dataset, hotel, "C00001")
    token = await shared.referral_token(people)
    assert len(records(await hotel.get(people.path, token))) == 1
    assessments = f"/v1/agreements/{people.agreement}/datasets/{people.dataset}/assessments"
    [found] = done(await file(hotel, assessments, method="GET"))["items"]
    done(await file(bank, f"{assessments}/{found['id']}", method="DELETE"))
    assert (await hotel.get(people.path, token)).status_code == 403


async def _judged(shared: Shared) -> list[dict[str, Any]]:
    """What each access entry says of its decision, with its case, ids renamed."""
    rows = await shared.gateway.database.all(_KEPT)
    kept = {row["sha256"]: json.loads(bytes(row["document"])) for row in rows}
    names: dict[str, str] = {}

    def renamed(text: str) -> str:
        return _ID.sub(lambda found: names.setdefault(found.group(), f"id-{len(names)}"), text)

    judged = []
    for entry in await shared.accesses():
        policy = entry["policy"]
        case = renamed(canonical(kept[policy["case_sha256"]]).decode())
        judged.append(
            {
                "effect": entry["effect"],
                "reasons": entry.get("reasons", []),
                "obligations": entry.get("obligations", {}),
                "judged_at": entry["judged_at"],
                "valid_until": policy["valid_until"],
                "digest": policy["digest"],
                "case_sha256": hashlib.sha256(case.encode()).hexdigest(),
                "query_sha256": entry["query_sha256"],
            }
        )
    return judged


async def test_decisions_and_inputs_are_the_same_on_both_databases_and_engines(
    request: pytest.FixtureRequest, tmp_path: Path, opa_server: OPA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MovableClock, "__init__", lambda self: setattr(self, "ms", _START_MS))
    said = []
    for engine, opa_url in (("sqlite", ""), ("postgresql", opa_server.url)):
        folder = tmp_path / engine
        folder.mkdir()
        async with shared_on(request, folder, engine, opa_url=opa_url, opa_timeout_ms=10_000) as shared:
            assert shared.gateway.decisions.engine == ("opa" if opa_url else "regopy")
            await _journey(shared)
            await _journey_in_confidence(shared)
            said.append(await _judged(shared))
    assert said[0] == said[1]
    assert {one["effect"] for one in said[0]} == {"permit", "deny"}
    assert {code for one in said[0] for code, _ in reasons(one)} == REFUSED_BY
    assert any("omitted" in one["obligations"] for one in said[0])

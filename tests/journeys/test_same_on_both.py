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
from tests.access.world import MovableClock, Shared, shared_on
from tests.services.opa import OPA

_ID = re.compile("[0-9a-f]{32}")
_KEPT = Query(select(decided_case.c.sha256, decided_case.c.document))
_START_MS = 1_790_000_000_000


async def _journey(shared: Shared) -> None:
    """Permit, another purpose, a hold, its end, the agreement's end, a stranger."""
    alliance, gateway = shared.alliance, shared.gateway
    deal = await shared.market()
    token = await shared.token(deal)
    assert (await shared.hotel.get(deal.path, token)).status_code == 200
    for fields in ("code", "city,price", "code,unknown"):
        await shared.hotel.get(f"{deal.path}?fields={fields}", token)
    shared.clock.pass_seconds(7)
    await gateway.holds.place(alliance.id, HoldSubject.DATASET, deal.dataset, case="case-1", operator="test")
    assert (await shared.hotel.get(deal.path, token)).status_code == 423
    other = await shared.market(["code"])
    both = await shared.hotel.token(shared.hotel.under(other.agreement, other.dataset))
    assert (await shared.hotel.get(other.path, both)).status_code == 200
    await gateway.life.terminate(await shared.subject(shared.bank, await shared.bank.token()), other.agreement)
    assert (await shared.hotel.get(other.path, both)).status_code == 403


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
        async with shared_on(request, folder, engine, opa_url=opa_url) as shared:
            assert shared.gateway.decisions.engine == ("opa" if opa_url else "regopy")
            await _journey(shared)
            said.append(await _judged(shared))
    assert said[0] == said[1]
    assert {one["effect"] for one in said[0]} == {"permit", "deny"}
    assert len(said[0]) >= 6

"""The OpenAPI document: served, complete, and consistent in itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import gateway
from gateway.web import web
from tests.access.api import documented, served
from tests.access.world import Shared, shared_on

_DECLARED = re.compile(r"@router\.(?:get|post|put|patch|delete)\(|@app\.get\(\"/v1/")


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance


async def test_the_document_is_served_and_covers_every_route(shared: Shared) -> None:
    answer = await shared.alliance.http.get("/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.")
    operations = served(web(shared.gateway))
    sources = [path.read_text() for path in Path(gateway.__file__).parent.rglob("*.py")]
    declared = sum(len(_DECLARED.findall(source)) for source in sources)
    assert len(operations) == declared > 20
    assert documented(answer.json()) == operations


async def test_every_variable_part_of_a_path_is_described(shared: Shared) -> None:
    document = (await shared.alliance.http.get("/v1/openapi.json")).json()
    seen = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path)), (method, path)
            assert all(one["required"] for one in operation.get("parameters", []) if one["in"] == "path")
            assert operation["summary"]
            seen += len(described)
    assert seen > 20


async def test_every_operation_that_reads_a_body_describes_it(shared: Shared) -> None:
    document = (await shared.alliance.http.get("/v1/openapi.json")).json()
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    assert {path for path, post in posts.items() if "requestBody" not in post} == {
        "/v1/agreements/{agreement_id}/termination",
        "/v1/cases/{case_id}/escalation",
        "/v1/consents/{consent_id}/withdrawal",
        "/v1/notices/{notice_id}/retirement",
        "/v1/offline-consents/{batch_id}/invalidation",
        "/v1/rights/{request_id}/export",
        "/v1/rights/{request_id}/retraction",
        "/v1/overlaps/{overlap}/acceptance",
        "/v1/signing-keys/{fingerprint}/confirmation",
        "/v1/withdrawals/{withdrawal}/verification",
    }


async def test_the_document_tells_no_name_of_a_member_and_no_key(shared: Shared) -> None:
    text = (await shared.alliance.http.get("/v1/openapi.json")).text
    for member in shared.alliance.members.values():
        assert member.id not in text
        assert member.client not in text
    assert shared.alliance.id not in text

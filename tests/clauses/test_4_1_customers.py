"""Clause 4.1.1: customers stand in personal datasets; in market and product data they are refused, and never quoted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.access.world import Deal, Shared, reasons, records, shared_on

CITIES = ("Beijing", "Shanghai", "Guangzhou", "Chengdu")


def described(kind: str, **columns: str) -> dict[str, Any]:
    """A schema of nullable texts: field name -> CSV column."""
    properties = {
        name: {
            "type": ["string", "null"],
            "x-class": "open",
            "x-grade": 1,
            "x-confidentiality": "public",
            "x-column": column,
        }
        for name, column in columns.items()
    }
    return {"type": "object", "x-kind": kind, "properties": properties}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path_factory.mktemp("customers"), "sqlite") as built:
        yield built


async def upload(shared: Shared, dataset: str, lines: list[str]) -> httpx.Response:
    """Upload a CSV file."""
    return await shared.bank.call(
        "POST",
        f"/v1/datasets/{dataset}/uploads",
        await shared.bank.token(),
        content="\n".join(lines).encode(),
        headers={"Content-Type": "text/csv"},
    )


def mobile(number: int) -> str:
    return f"138{number:08}"


async def test_4_1_1_a_csv_with_a_phone_column_posted_as_market_information_is_quarantined(shared: Shared) -> None:
    dataset = await shared.bank.declare(described("market", city="city", line="line"))
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["city", "line"]), dataset)
    lines = ["city,line", *[f"{CITIES[n % 4]},{mobile(n)}" for n in range(40)]]
    answer = await upload(shared, dataset, lines)
    assert (answer.status_code, answer.json()["code"]) == (400, "CLASS_NOT_SHAREABLE")
    assert answer.json()["field"] == "column line"
    assert "clause 4.1.1" in answer.json()["detail"]
    assert "lines 2, 3, 4" in answer.json()["detail"]
    entry = (await shared.entries(shared.bank.id))[-1]
    assert (entry["act"], entry["effect"], reasons(entry)) == (
        "upload_quarantined",
        "deny",
        [("CLASS_NOT_SHAREABLE", "4.1.1")],
    )
    token = await shared.bank.token()
    report = await shared.bank.get(f"/v1/datasets/{dataset}/uploads/{entry['upload']}", token)
    assert report.json()["state"] == "quarantined"
    found = [{"column": "line", "holds": "mobile number", "rows": 40, "lines": list(range(2, 22))}]
    assert entry["columns"] == report.json()["error"]["columns"] == found
    for told in (answer.text, report.text, json.dumps(entry)):
        assert mobile(0)[:-1] not in told  # so long that no instant holds it by chance
    assert records(await shared.hotel.get(deal.path, await shared.token(deal))) == {}
    assert await shared.gateway.uploads.sweep() > 0
    assert await shared.gateway.uploads.sweep() == 0


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("remarks", "asked by 11010519491231002X in person"),
        ("remarks", "11010519491231002x"),
        ("contact", "+86 138-0013-8000"),
        ("联系电话", "１３８００１３８０００"),
        ("E-Mail", "li.wei@customer-mail.org"),
    ],
)
async def test_4_1_1_one_row_is_enough_where_no_doubt_is_left(shared: Shared, column: str, cell: str) -> None:
    dataset = await shared.bank.declare(described("product", city="city", text=column))
    answer = await upload(shared, dataset, [f"city,{column}", *["Beijing,"] * 500, f"Xi'an,{cell}"])
    assert (answer.status_code, answer.json()["code"]) == (400, "CLASS_NOT_SHAREABLE"), answer.text
    assert "(lines 502)" in answer.json()["detail"]
    assert cell not in answer.text


async def test_4_1_1_a_hotline_in_a_description_is_no_customer(shared: Shared) -> None:
    dataset = await shared.bank.declare(described("product", city="city", text="text", phone="phone"))
    rows = [f"{CITIES[n % 4]},room {n} with a view,010-6500{n:04}" for n in range(300)]
    answer = await upload(shared, dataset, ["city,text,phone", *rows, "Xi'an,ask Mr Li at 13800138000,"])
    assert answer.status_code == 201, answer.text
    assert answer.json()["accepted"] == 301


async def test_4_1_1_the_same_rows_are_taken_in_a_personal_dataset(shared: Shared) -> None:
    dataset = await shared.people(range(50))
    assert dataset


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("customer_phone", {}),
        ("guest_name", {}),
        ("passport_no", {}),
        ("c_1", {"x-column": "身份证号"}),
        ("c_1", {"title": "客户手机"}),
        ("hotline", {"x-format": "phone"}),
    ],
)
async def test_4_1_1_a_field_that_is_declared_as_a_persons_is_refused(
    shared: Shared, name: str, keywords: dict[str, str]
) -> None:
    schema = described("market", city="city")
    schema["properties"][name] = {"type": "string", "x-class": "open", "x-grade": 1, **keywords}
    answer = await shared.bank.post("/v1/datasets", await shared.bank.token(), {"name": "m", "schema": schema})
    assert (answer.status_code, answer.json()["code"]) == (400, "CLASS_NOT_SHAREABLE")
    assert answer.json()["field"].startswith(f"/schema/properties/{name}")

"""Clause 4.1.2: agreed rows, agreed volume, agreed methods, on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.access.world import ENGINES, Deal, Shared, reasons, records, shared_on

SHOPS = {
    "type": "object",
    "x-kind": "market",
    "properties": {
        "region": {"type": "string", "x-class": "place", "x-grade": 1, "x-filter": "equality"},
        "format": {"type": ["string", "null"], "x-class": "place", "x-grade": 1, "x-filter": "equality"},
        "turnover": {"type": "integer", "x-class": "terms", "x-grade": 2},
    },
}
REGIONS = ("north", "south", "East", "west")
FORMATS = ("mall", "street", None)
FIELDS = ("region", "format", "turnover")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """A bank, a hotel and a stranger, on each engine."""
    async with shared_on(request, tmp_path_factory.mktemp("sharing"), request.param) as built:
        yield built


async def shops(shared: Shared, count: int = 60, **term: Any) -> Deal:
    """Shops of every region and format, of which the term says what is agreed."""
    dataset = await shared.bank.declare(SHOPS)
    rows = [{"region": REGIONS[n % 4], "format": FORMATS[n % 3], "turnover": n} for n in range(count)]
    answer = await shared.bank.upload(dataset, rows)
    assert answer.json()["refused"] == 0, answer.text
    return Deal(await shared.bank.agree(shared.hotel, dataset, FIELDS, term=term), dataset)


async def everything(shared: Shared, deal: Deal, limit: int = 7) -> list[dict[str, Any]]:
    """Every record that the hotel is shown, page by page."""
    token, found, cursor = await shared.token(deal), [], None
    while True:
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = await shared.hotel.get(deal.path, token, **params)
        found += list(records(page).values())
        cursor = page.json()["next"]
        if cursor is None:
            return found
        assert len(records(page)) == limit  # no gaps


async def test_4_1_2_a_page_holds_the_agreed_rows_and_no_others(shared: Shared) -> None:
    agreed = await shops(shared, rows=[{"field": "region", "in": ["north", "EAST", "nowhere"]}])
    found = await everything(shared, agreed)
    assert sorted(one["turnover"] for one in found) == [n for n in range(60) if n % 4 in (0, 2)]


async def test_4_1_2_every_row_predicate_holds_at_once(shared: Shared) -> None:
    both = [{"field": "region", "in": ["north", "south"]}, {"field": "format", "in": ["street"]}]
    found = await everything(shared, await shops(shared, rows=both))
    assert sorted(one["turnover"] for one in found) == [n for n in range(60) if n % 4 in (0, 1) and n % 3 == 1]


async def test_4_1_2_a_record_outside_the_agreed_rows_is_absent_like_any_other(shared: Shared) -> None:
    whole = await shops(shared)
    token = await shared.token(whole)
    by_id = records(await shared.hotel.get(whole.path, token))
    term = {"rows": [{"field": "region", "in": ["north"]}]}
    part = Deal(await shared.bank.agree(shared.hotel, whole.dataset, FIELDS, term=term), whole.dataset)
    token = await shared.token(part)
    unknown = await shared.hotel.get(f"{part.path}/{'0' * 32}", token)
    assert unknown.status_code == 404
    for name, fields in by_id.items():
        answer = await shared.hotel.get(f"{part.path}/{name}", token)
        if fields["region"] == "north":
            assert records(answer) == {name: fields}
        else:
            assert (answer.status_code, answer.content) == (404, unknown.content)
            assert (await shared.last_access())["opening"]["groups"] == []


async def test_4_1_2_filters_find_nothing_outside_the_agreed_rows(shared: Shared) -> None:
    deal = await shops(shared, rows=[{"field": "region", "in": ["north", "south"]}])
    token = await shared.token(deal)
    for region, count in (("north", 15), ("west", 0), ("nowhere", 0)):
        answer = await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"region": region}})
        assert len(records(answer)) == count
        assert answer.json()["next"] is None


async def test_4_1_2_a_predicate_that_the_dataset_cannot_answer_matches_nothing(shared: Shared) -> None:
    """Signed before its field could be filtered on, it must not open every row."""
    deal = await shops(shared, rows=[{"field": "turnover", "in": ["1"]}])
    assert await everything(shared, deal) == []


async def test_4_1_2_more_records_than_agreed_are_refused_until_the_window_reopens(shared: Shared) -> None:
    deal = await shops(shared, volume={"records": 50, "per_seconds": 60})
    token = await shared.token(deal)
    page = await shared.hotel.get(deal.path, token, limit="40")
    assert len(records(page)) == 40
    refused = await shared.hotel.get(deal.path, token, limit="20", cursor=page.json()["next"])
    assert refused.status_code == 403
    assert reasons(refused.json()) == [("VOLUME_EXCEEDED", "4.1.2")]
    entry = await shared.last_access()
    assert (entry["effect"], reasons(entry)) == ("deny", [("VOLUME_EXCEEDED", "4.1.2")])
    assert "opening" not in entry
    assert len(records(await shared.hotel.get(deal.path, token, limit="10"))) == 10  # exactly what is left
    assert (await shared.hotel.get(deal.path, token, limit="1")).status_code == 403
    assert (await shared.hotel.get(f"{deal.path}/{'0' * 32}", token)).status_code == 404  # nothing to count
    shared.clock.pass_seconds(60)
    assert len(records(await shared.hotel.get(deal.path, await shared.token(deal), limit="40"))) == 40


async def test_4_1_2_a_method_that_is_not_agreed_is_refused(shared: Shared) -> None:
    deal = await shops(shared, methods=["file"])
    answer = await shared.hotel.get(deal.path, await shared.token(deal))
    assert answer.status_code == 403
    assert reasons(answer.json()) == [("METHOD_NOT_AGREED", "4.1.2")]
    assert reasons(await shared.last_access()) == [("METHOD_NOT_AGREED", "4.1.2")]

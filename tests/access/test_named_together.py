"""Records that requests ask for by their ids at the same time are selected together, each for its own reader."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.access import search, selection
from gateway.catalog.tables import record
from gateway.database import Query
from tests.access.world import ENGINES, Deal, Shared, person, records, shared_on

NOBODYS = "00" * 16
_IDS = Query(select(record.c.id))


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


@dataclass
class Statements:
    """How many records each statement for named records asked for; `before` runs before each of them."""

    named: list[int] = field(default_factory=list)
    before: Callable[[], Any] | None = None


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    seen, given = Statements(), selection.select_named

    async def counted(*arguments: Any) -> Any:
        seen.named.append(len(arguments[-1]))
        if seen.before is not None:
            await seen.before()
        return await given(*arguments)

    monkeypatch.setattr(search, "select_named", counted)
    return seen


def records_of(answer: httpx.Response) -> dict[str, Any]:
    """The one record of an answer, by its id."""
    found = answer.json()
    return {found["id"]: found["fields"]} if "id" in found else records(answer)


def _on_postgresql(shared: Shared) -> bool:
    """There each record has a statement of its own."""
    return bool(shared.gateway.settings.database_url)


async def together(shared: Shared, deal: Deal, *asked: tuple[str, str]) -> list[httpx.Response]:
    """One read for each pair of a token and a record's id, all at the same time."""
    return await asyncio.gather(*[shared.hotel.get(f"{deal.path}/{one}", token) for token, one in asked])


async def test_each_reader_gets_the_record_that_it_asked_for(shared: Shared, statements: Statements) -> None:
    dataset = await shared.places([{"code": "PEK", "city": f"City {n}", "price": n, "margin": 1} for n in range(20)])
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ("code", "city", "price")), dataset)
    token = await shared.token(deal)
    page = records(await shared.hotel.get(deal.path, token))
    wanted = [*page, *list(page)[:3], NOBODYS]
    answers = await together(shared, deal, *[(token, one) for one in wanted])
    assert [answer.status_code for answer in answers] == [200] * 23 + [404]
    assert [records_of(answer) for answer in answers[:-1]] == [{one: page[one]} for one in wanted[:-1]]
    if _on_postgresql(shared):
        assert set(statements.named) == {1}, "for a list it may look through the whole dataset"
    else:
        assert statements.named == [21], "all went together"


async def test_of_persons_each_is_shown_by_its_own_consent(shared: Shared, statements: Statements) -> None:
    deal = await shared.personal(range(4))
    token = await shared.referral_token(deal)
    for number in range(4):
        await shared.bank.consent(deal.dataset, shared.hotel, person(number)["customer_no"])
    ids = {fields["name"]: one for one, fields in records(await shared.hotel.get(deal.path, token)).items()}
    await shared.bank.withdraw(deal.dataset, person(2)["customer_no"])
    names = [f"Person {n}" for n in range(4)]
    answers = await together(shared, deal, *[(token, ids[name]) for name in names])
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200]
    assert [next(iter(records_of(answers[n]).values()))["name"] for n in (0, 1, 3)] == [
        "Person 0",
        "Person 1",
        "Person 3",
    ]
    assert _on_postgresql(shared) or statements.named == [4], "all went together"


async def test_a_revoked_token_gains_nothing_by_reading_beside_a_good_one(
    shared: Shared, statements: Statements
) -> None:
    deal = await shared.market()
    good, revoked = [await shared.token(deal) for _ in range(2)]
    [wanted, *_] = records(await shared.hotel.get(deal.path, good))
    assert {answer.status_code for answer in await together(shared, deal, (good, wanted), (revoked, wanted))} == {200}
    await shared.hotel.revoke(revoked)
    for asked in ([good, revoked, good, revoked], [revoked, good, revoked, good]):
        answers = await together(shared, deal, *[(token, wanted) for token in asked])
        assert [answer.status_code for answer in answers] == [200 if token == good else 401 for token in asked]


async def test_records_of_two_agreements_are_found_each_under_its_own(shared: Shared, statements: Statements) -> None:
    deals = [await shared.market() for _ in range(2)]
    token = await shared.hotel.token(*[shared.hotel.under(deal.agreement, deal.dataset) for deal in deals])
    pages = [records(await shared.hotel.get(deal.path, token)) for deal in deals]
    paths = [f"{deal.path}/{one}" for deal, page in zip(deals, pages, strict=True) for one in page]
    answers = await asyncio.gather(*[shared.hotel.get(path, token) for path in paths])
    assert [records_of(answer) for answer in answers] == [{one: page[one]} for page in pages for one in page]
    assert sum(statements.named) == len(paths), "nobody was answered with another's and had to ask again"
    elsewhere = [f"{deal.path}/{one}" for deal, page in zip(deals, reversed(pages), strict=True) for one in page]
    answers = await asyncio.gather(*[shared.hotel.get(path, token) for path in [*paths, *elsewhere]])
    assert [answer.status_code for answer in answers] == [200] * len(paths) + [404] * len(elsewhere)


async def test_a_withdrawal_between_question_and_statement_hides_the_person_from_all_who_wait(
    shared: Shared, statements: Statements
) -> None:
    deal = await shared.personal(range(1))
    token = await shared.referral_token(deal)
    await shared.bank.consent(deal.dataset, shared.hotel, person(0)["customer_no"])
    [wanted] = records(await shared.hotel.get(deal.path, token))

    withdrawn: list[asyncio.Task[httpx.Response]] = []

    async def withdraw_first() -> None:
        if not withdrawn:
            withdrawn.append(asyncio.create_task(shared.bank.withdraw(deal.dataset, person(0)["customer_no"])))
        assert (await withdrawn[0]).status_code == 200

    statements.before = withdraw_first
    answers = await together(shared, deal, *[(token, wanted)] * 4)
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_more_than_a_page_of_ids_takes_more_than_one_statement(
    shared: Shared, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_RECORDS", 2)
    deal = await shared.market()
    token = await shared.token(deal)
    page = records(await shared.hotel.get(deal.path, token))
    answers = await together(shared, deal, *[(token, one) for one in page])
    assert [records_of(answer) for answer in answers] == [{one: fields} for one, fields in page.items()]
    assert max(statements.named) <= 2


async def test_a_long_record_is_loaded_alone_however_many_are_asked_for_with_it(
    shared: Shared, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[list[int]] = []
    find = selection._find

    async def measured(*given: Any) -> Any:
        found = await find(*given)
        loaded.append([len(row[selection._SEALED] or b"") for row in found.rows])
        return found

    monkeypatch.setattr(selection, "_find", measured)
    longs = ["".join(random.choices("ghijkmnpqrstuvwxyz", k=150_000)) for _ in range(3)]  # does not become short
    cities = ["Beijing", longs[0], "Shanghai", longs[1], longs[2]]
    dataset = await shared.places([{"code": "X", "city": city, "price": 1, "margin": 1} for city in cities])
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ("code", "city", "price")), dataset)
    token = await shared.token(deal)
    ids = [bytes(row["id"]).hex() for row in await shared.gateway.database.all(_IDS)]
    assert (await shared.hotel.get(f"{deal.path}/{NOBODYS}", token)).status_code == 404
    answers = await together(shared, deal, *[(token, one) for one in [*ids, NOBODYS]])
    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    shown = [records_of(answer)[one]["city"] for one, answer in zip(ids, answers, strict=False)]
    assert sorted(shown) == sorted(cities)
    assert _on_postgresql(shared) or statements.named == [1, 6], "all went together"
    assert all(len(sizes) == 1 or max(sizes, default=0) <= selection.LONGEST_AMONG_OTHERS for sizes in loaded)

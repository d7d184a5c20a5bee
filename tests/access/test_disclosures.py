"""The disclosure log is what the ledger says: rebuilt from nothing it is the same, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import bindparam, delete, select

from gateway.access import disclosures
from gateway.access.disclosures import Disclosure, Disclosures
from gateway.access.tables import disclosure, disclosure_cursor
from gateway.background import _Sweeping
from gateway.database import Query
from gateway.ledger import Draft, Effect, Kind, Opening
from gateway.ledger.bodies import prepare
from gateway.ledger.warrant import OpeningGroup
from tests.access.world import Deal, Shared, person, records, second_process, shared_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
_ALL = Query(select(disclosure).order_by(disclosure.c.log_id, disclosure.c.idx, disclosure.c.record_id))
_FORGET = [Query(delete(table).where(table.c.log_id == bindparam("log"))) for table in (disclosure, disclosure_cursor)]
MANY = 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path_factory.mktemp("disclosures"), "sqlite") as alliance:
        yield alliance


async def read(shared: Shared, deal: Deal, **params: str) -> dict[str, Any]:
    return records(await shared.hotel.get(deal.path, await shared.referral_token(deal), **params))


async def of(shared: Shared, deal: Deal, number: int) -> list[Disclosure]:
    """What the bank's customer of that number is told."""
    dataset = await shared.gateway.datasets.owned(
        await shared.subject(shared.bank, await shared.bank.token()), deal.dataset
    )
    pseudonym = (await shared.gateway.keyring.unlock(shared.bank.id)).pseudonym(dataset.subject_of(f"C{number:05}"))
    return await shared.gateway.disclosures.of_person(shared.bank.id, pseudonym)


async def rows(shared: Shared) -> list[dict[str, Any]]:
    await shared.gateway.disclosures.follow(shared.bank.id)
    return [
        {column.name: row[column.name] for column in disclosure.c} for row in await shared.gateway.database.all(_ALL)
    ]


async def test_a_person_learns_when_to_whom_for_what_and_which_fields_and_no_value(shared: Shared) -> None:
    deal = await shared.personal([1, 2, 3])
    [consent, narrow] = [
        *await shared.bank.consent(deal.dataset, shared.hotel, "C00001"),
        *await shared.bank.consent(deal.dataset, shared.hotel, "C00002", fields=["name"]),
    ]
    assert len(await read(shared, deal)) == 2
    event = (await shared.last_access())["event_id"]
    [first], [second] = await of(shared, deal, 1), await of(shared, deal, 2)
    assert first == (
        shared.clock(), event, shared.hotel.id, "customer_referral", deal.agreement, first.dataset_no, consent,
        ("name", "phone"),
    )  # fmt: skip
    assert (second.event_id, second.consent, second.fields) == (event, narrow, ("name",))
    assert await of(shared, deal, 3) == []
    assert all("Person" not in str(row) and "1380000000" not in str(row) for row in await rows(shared))


async def test_what_was_refused_or_found_nothing_is_no_disclosure(shared: Shared) -> None:
    deal = await shared.personal([4])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00004")
    await shared.bank.withdraw(deal.dataset, "C00004")
    assert await read(shared, deal) == {}
    assert await of(shared, deal, 4) == []


async def test_rebuilt_from_nothing_it_is_the_same(shared: Shared) -> None:
    deal = await shared.personal(range(100, 100 + MANY))
    subjects = [f"C{number:05}" for number in range(100, 100 + MANY)]
    await shared.bank.consent(deal.dataset, shared.hotel, *subjects)
    assert len(await read(shared, deal, limit=str(MANY))) == MANY
    shared.clock.pass_seconds(2)
    await shared.bank.withdraw(deal.dataset, subjects[0])
    again = await shared.bank.consent(deal.dataset, shared.hotel, subjects[1], fields=["name"], given_at=_now(shared))
    assert len(await read(shared, deal, limit=str(MANY))) == MANY - 1
    known = await rows(shared)
    assert len([row for row in known if row["purpose"] == "customer_referral"]) >= 2 * MANY - 1
    assert [one.consent for one in await of(shared, deal, 101)][-1:] == again
    async with shared.gateway.database.transaction() as tx:
        for query in _FORGET:
            await tx.run(query, log=shared.bank.id)
    async with second_process(shared) as second:
        await asyncio.gather(*[one.disclosures.follow(shared.bank.id) for one in (second, shared.gateway, second)])
    assert await rows(shared) == known
    assert all(row["pseudonym"] and row["consent_id"] for row in known)


async def test_entries_of_many_records_are_indexed_a_few_at_a_time(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await rows(shared)
    async with shared.gateway.database.transaction() as tx:
        for query in _FORGET:
            await tx.run(query, log=shared.bank.id)
    monkeypatch.setattr(disclosures, "_MOST_ROWS", 1)
    read_some, written = Disclosures._read, list[int]()

    async def counted(index: Disclosures, owner: str, first: int, count: int) -> tuple[list[dict[str, Any]], int]:
        found = await read_some(index, owner, first, count)
        written.append(len(found[0]))
        return found

    monkeypatch.setattr(Disclosures, "_read", counted)
    assert await rows(shared) == known
    assert max(written) == MANY
    assert len(written) > 2


@pytest.mark.parametrize(
    ("groups", "of_each", "listed"), [(1, 2, "in the body"), (2, 100, "beside"), (150, 2, "beside with their groups")]
)
async def test_every_form_of_an_entry_is_read(groups: int, of_each: int, listed: str) -> None:
    opened = [(f"field_{group}", [f"{group:030x}{n:02x}" for n in range(of_each)]) for group in range(groups)]
    opening = Opening(
        "d", tuple(OpeningGroup(("c",), (field,), (), tuple(f"{name}@1" for name in names)) for field, names in opened)
    )
    draft = Draft(log="l", kind=Kind.ACCESS, facts={}, effect=Effect.PERMIT, opening=opening, narrowing=0)
    entry = prepare(draft, event_id="e", origin="o", node="n", boot_id="b")
    said = json.loads(entry.body(0, "", 0))["opening"]
    beside = None if entry.detail is None else json.loads(entry.detail)
    assert (beside is None, "groups" in said) == (listed == "in the body", listed != "beside with their groups")
    found = [(fields, name) for fields, name in disclosures._opened(said, beside)]
    assert found == [([field], name) for field, names in opened for name in names]


async def test_a_record_that_was_replaced_since_is_still_its_persons(shared: Shared) -> None:
    deal = await shared.personal([5])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00005")
    assert len(await read(shared, deal)) == 1
    before = await of(shared, deal, 5)
    assert (await shared.bank.upload(deal.dataset, [person(5)], "replace")).status_code == 201
    await shared.gateway.uploads.sweep()
    assert len(before) == 1
    assert await of(shared, deal, 5) == before


async def test_a_record_that_is_read_and_replaced_while_a_sweep_begins_is_still_its_persons(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await shared.personal([6])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00006")
    follow_all = shared.gateway.disclosures.follow_all

    async def followed_by_a_read_and_a_replacement() -> None:
        await follow_all()
        assert len(await read(shared, deal)) == 1
        assert (await shared.bank.upload(deal.dataset, [person(6)], "replace")).status_code == 201

    sweeping = _Sweeping(shared.gateway)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(shared.gateway.disclosures, "follow_all", followed_by_a_read_and_a_replacement)
        await sweeping.sweep()
    await sweeping.sweep()
    assert len(await of(shared, deal, 6)) == 1


def _now(shared: Shared) -> str:
    return datetime.fromtimestamp(shared.clock() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

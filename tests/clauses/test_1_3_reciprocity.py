"""Clause 1.3.2: what each member gave and received equals what the ledger says was disclosed."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from gateway.cli.reciprocity import bar, table
from tests.access.world import Deal, Shared, person, shared_on

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """Bank and hotel read from each other at two times; a record's list stands in the entry, or beside it."""
    async with shared_on(request, tmp_path_factory.mktemp("reciprocity"), "sqlite") as built:
        await _exchange(built)
        built.clock.pass_seconds(3600)
        await _exchange(built)
        yield built


async def _exchange(shared: Shared) -> None:
    places = await shared.market()
    token = await shared.token(places)
    for limit in ("1", "2", "100"):
        await shared.hotel.get(places.path, token, limit=limit)
    assert (await shared.hotel.get(f"{places.path}/{'0' * 32}", token)).status_code == 404
    assert (await shared.hotel.get(places.path, token, fields="margin")).status_code == 403
    people = await shared.personal(range(90))
    numbers = [person(n)["customer_no"] for n in range(90)]
    await shared.bank.consent(people.dataset, shared.hotel, *numbers[:45])
    await shared.bank.consent(people.dataset, shared.hotel, *numbers[45:], fields=["name"])
    await shared.hotel.get(people.path, await shared.referral_token(people))
    back = await shared.hotel.declare(_ROOMS)
    await shared.hotel.upload(back, [{"room": f"R{n}"} for n in range(5)])
    deal = Deal(await shared.hotel.agree(shared.bank, back, ["room"]), back)
    token = await shared.bank.token(shared.bank.under(deal.agreement, back))
    assert (await shared.bank.get(deal.path, token)).status_code == 200


_ROOMS = {
    "type": "object",
    "x-kind": "product",
    "properties": {"room": {"type": "string", "x-class": "open", "x-grade": 1, "x-confidentiality": "public"}},
}


async def recomputed(shared: Shared, since: int, until: int) -> Counter[tuple[str, str, str]]:
    """(owner, recipient, what) -> how much, from the raw entries and their details."""
    totals: Counter[tuple[str, str, str]] = Counter()
    for owner in shared.alliance.members.values():
        for entry in await shared.entries(owner.id):
            opening = entry.get("opening")
            if entry["kind"] != "access" or opening is None or not since <= entry["time"] < until:
                continue
            listed = sum(
                g["records"] if isinstance(g["records"], int) else len(g["records"]) for g in opening["groups"]
            )
            totals[owner.id, entry["actor"]["member"], "accesses"] += 1
            totals[owner.id, entry["actor"]["member"], "records"] += listed
    return totals


async def report_of(shared: Shared, name: str, **params: str) -> dict[str, Any]:
    member = shared.alliance.members[name]
    answer = await member.get("/v1/reciprocity", await member.token(), **params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_1_3_2_the_report_says_what_the_ledger_says(shared: Shared) -> None:
    bank, hotel = shared.bank.id, shared.hotel.id
    now = shared.clock()
    for since, until in ((0, now + 1), (now - 1800_000, now + 1), (now - 5400_000, now - 1800_000)):
        totals = await recomputed(shared, since, until)
        reports = {one.member: one for one in await shared.gateway.sharing.reciprocity.of_alliance(
            shared.alliance.id, max(since, now - 86_400_000), until
        )}  # fmt: skip
        for mine, other in ((bank, hotel), (hotel, bank)):
            given, received = reports[mine].given, reports[mine].received
            assert given.records == totals[mine, other, "records"] > 0
            assert given.accesses == totals[mine, other, "accesses"] > 0
            assert received == reports[other].given
        assert reports[shared.stranger.id].exchanges == ()
        assert sum(one.given.records for one in reports.values()) == sum(
            amount for (_, _, what), amount in totals.items() if what == "records"
        )


async def test_1_3_2_a_member_sees_its_own_balance_and_nobody_elses(shared: Shared) -> None:
    bank, hotel = await report_of(shared, "bank"), await report_of(shared, "hotel")
    assert bank["given"] == hotel["received"]
    assert bank["received"] == hotel["given"]
    assert bank["given"]["records"] == 2 * (1 + 2 + 3 + 90)
    assert [one["name"] for one in bank["partners"]] == ["hotel"]
    stranger = await report_of(shared, "stranger")
    nothing = {"accesses": 0, "records": 0}
    assert (stranger["given"], stranger["received"], stranger["partners"]) == (nothing, nothing, [])
    first = await report_of(shared, "bank", since="2020-01-01T00:00:00Z", until="2020-02-01T00:00:00Z")
    assert first["given"] == nothing


@pytest.mark.parametrize(
    "period",
    [
        {"since": "2026-02-30T00:00:00Z"},
        {"since": "2026-02-01"},
        {"since": "2026-02-02T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    ],
)
async def test_1_3_2_a_period_that_is_none_is_refused(shared: Shared, period: dict[str, str]) -> None:
    answer = await shared.bank.get("/v1/reciprocity", await shared.bank.token(), **period)
    assert answer.status_code == 400
    assert answer.json()["field"]


async def test_1_3_2_a_token_that_is_not_for_audits_reads_no_balance(shared: Shared) -> None:
    token = await shared.bank.token({"type": "alliance_member", "actions": ["upload"]})
    answer = await shared.bank.get("/v1/reciprocity", token)
    assert (answer.status_code, answer.json()["code"]) == (403, "ACTION_NOT_GRANTED")


async def test_1_3_2_the_table_shows_both_directions_with_bars(shared: Shared) -> None:
    now = shared.clock()
    reports = await shared.gateway.sharing.reciprocity.of_alliance(shared.alliance.id, now - 86_400_000, now + 1)
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table(reports))
    text = console.export_text()
    assert "192 in " in text
    assert bar(192, 192) in text
    assert (bar(0, 5), bar(1, 10_000), bar(5, 5)) == ("", "▏", "█" * 24)

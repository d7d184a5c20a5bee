"""A database that takes nothing more, or is shutting down: each request is 503, and the next one is served again."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.database.postgresql import PostgreSQLDatabase
from gateway.database.sqlite import SQLiteDatabase
from tests.access.api import told
from tests.access.world import PLACES, Deal, Shared, person, shared_on
from tests.alliance import MARKET_SCHEMA

REFUSING = ("53100", "53200", "53300", "57014", "57P01", "57P02", "57P03", "25P03", "25P04", "58030")
"""Disk full, no memory, no connection; cancelled, shut down, crashed, starting; idle or at work too long; I/O error."""
_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$;
DO $$ DECLARE name text; BEGIN
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON %I EXECUTE FUNCTION refuse()', name);
END LOOP; END $$
"""
_RESUME = "DROP FUNCTION refuse CASCADE"
_ANY = 2**32 - 2
USUAL = {
    "read": 200,
    "refused read": 403,
    "stranger's read": 403,
    "upload": 201,
    "withdrawal": 200,
    "dataset": 201,
    "token": 200,
}
Ask = Callable[[], Awaitable[httpx.Response]]


@asynccontextmanager
async def no_page_more(database: SQLiteDatabase) -> AsyncIterator[None]:
    """SQLite's own limit, on what the file has now."""
    [pages] = database._writer.execute("PRAGMA page_count").fetchone()
    database._writer.execute(f"PRAGMA max_page_count={pages}")
    yield
    database._writer.execute(f"PRAGMA max_page_count={_ANY}")


@asynccontextmanager
async def refusing(database: PostgreSQLDatabase, state: str) -> AsyncIterator[None]:
    """The server answers whatever is written with this SQLSTATE."""
    await database._pool.execute(_REFUSE.format(state=state))
    yield
    await database._pool.execute(_RESUME)


async def _asks(shared: Shared) -> dict[str, Ask]:
    """What members send, each time it is called anew, with credentials that they have already."""
    people = await shared.personal(range(40))
    await shared.bank.consent(people.dataset, shared.hotel, *[f"C{number:05}" for number in range(40)])
    places: Deal = await shared.market()
    own, reading = await shared.bank.token(), await shared.token(places)
    numbers = itertools.count()
    rows = "\n".join(f"{one['code']},{one['city']},{one['price']},{one['margin']}" for one in PLACES * 400)

    async def uploaded() -> httpx.Response:
        path = f"/v1/datasets/{places.dataset}/uploads"
        body = f"code,city,price,margin\n{rows}\n".encode()
        params = {"mode": "replace"}
        return await shared.bank.call(
            "POST", path, own, params=params, content=body, headers={"Content-Type": "text/csv"}
        )

    async def withdrawn() -> httpx.Response:
        subject = person(next(numbers) % 40)["customer_no"]
        return await shared.bank.post(f"/v1/datasets/{people.dataset}/withdrawals", own, {"subject": subject})

    async def declared() -> httpx.Response:
        return await shared.bank.post("/v1/datasets", own, {"name": f"more {next(numbers)}", "schema": MARKET_SCHEMA})

    return {
        "read": lambda: shared.hotel.get(places.path, reading),
        "refused read": lambda: shared.hotel.get(places.path, reading, fields="margin"),
        "stranger's read": lambda: shared.bank.get(places.path, own, purpose="market_analysis"),
        "upload": uploaded,
        "withdrawal": withdrawn,
        "dataset": declared,
        "token": shared.hotel.ask_token,
    }


async def _first_refused(ask: Ask) -> httpx.Response:
    """SQLite may still fill what its pages have free; what is answered until then counts as any other."""
    for _ in range(500):
        if (answer := await ask()).status_code == 503:
            return answer
        assert answer.status_code in USUAL.values(), answer.text
    raise AssertionError("The disk is not full.")


def _is_unavailable(name: str, answer: httpx.Response) -> None:
    assert answer.status_code == 503, (name, answer.status_code, answer.text)
    if name == "token":
        assert answer.json()["error"] == "temporarily_unavailable"
        return
    assert told(answer)["code"] in ("database_unavailable", "ledger_unavailable"), (name, answer.text)
    assert answer.headers["Retry-After"] == "1", name
    assert "event_id" not in answer.json(), name


async def _served(asks: Mapping[str, Ask]) -> dict[str, int]:
    return {name: (await ask()).status_code for name, ask in asks.items()}


async def _entries(shared: Shared) -> list[list[dict[str, Any]]]:
    return [await shared.entries(log) for log in (shared.bank.id, shared.hotel.id, shared.alliance.id)]


async def _is_refused_and_resumes(
    shared: Shared, asks: Mapping[str, Ask], outage: AbstractAsyncContextManager[None]
) -> None:
    async with outage:
        for name, ask in asks.items():
            _is_unavailable(name, await _first_refused(ask))
        before = await _entries(shared)
        for name, ask in asks.items():
            _is_unavailable(name, await ask())
        assert await _entries(shared) == before
    assert await _served(asks) == USUAL


async def test_a_full_sqlite_refuses_all_that_is_written_enters_nothing_and_resumes(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with shared_on(request, tmp_path, "sqlite") as shared:
        database = shared.gateway.database
        assert isinstance(database, SQLiteDatabase)
        await _is_refused_and_resumes(shared, await _asks(shared), no_page_more(database))


async def test_a_postgresql_that_cannot_write_refuses_enters_nothing_and_resumes(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with shared_on(request, tmp_path, "postgresql") as shared:
        database = shared.gateway.database
        assert isinstance(database, PostgreSQLDatabase)
        asks = await _asks(shared)
        for state in REFUSING:
            await _is_refused_and_resumes(shared, asks, refusing(database, state))

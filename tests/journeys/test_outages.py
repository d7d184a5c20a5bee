"""Whatever the gateway depends on stops: it refuses, loses nothing that it has acknowledged, and resumes by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access.world import MovableClock
from tests.alliance import MARKET_SCHEMA, founded
from tests.databases import database_on
from tests.served import Site, served
from tests.services.opa import OPA
from tests.services.or_skip import or_skip
from tests.services.postgresql import PostgreSQL
from tests.services.process import Service
from tests.services.valkey import Valkey

PATIENCE_S = 60.0
REFUSED_WITHIN_S = 30.0
READS = 6
_OPA_MS = 2000  # the machine may be busy


@dataclass
class Reader:
    """The hotel, reading places of the bank; remembers what it was answered."""

    site: Site
    path: str
    token: str
    acknowledged: dict[str, int] = field(default_factory=dict)

    async def read(self, fields: str = "code") -> httpx.Response:
        """One read, remembered if it was answered by an entry."""
        answer = await self.site.alliance.members["hotel"].get(self.path, self.token, fields=fields)
        if answer.status_code in (200, 403):
            self.acknowledged[answer.json()["event_id"]] = answer.status_code
        return answer

    async def succeed(self, fields: str = "code") -> None:
        """Data, and what is not granted refused."""
        assert (await self.read(fields)).status_code == 200
        assert (await self.read("margin")).status_code == 403

    async def be_refused(self, fields: str = "code") -> httpx.Response:
        """503 that says when to come again, in time, and holds no data."""
        began = time.monotonic()
        answer = await self.read(fields)
        assert answer.status_code == 503, answer.text
        assert time.monotonic() - began < REFUSED_WITHIN_S
        assert "Retry-After" in answer.headers
        assert "records" not in answer.json()
        return answer

    async def resumed(self, fields: str = "code") -> None:
        """Nobody touches the gateway: it serves again."""
        deadline = time.monotonic() + PATIENCE_S
        while (answer := await self.read(fields)).status_code != 200:
            assert answer.status_code == 503, answer.text
            assert time.monotonic() < deadline, "the gateway does not resume by itself"
            await asyncio.sleep(0.05)
        await self.succeed(fields)

    async def entries(self) -> list[dict[str, Any]]:
        """The accesses in the bank's log, after a check that none that was acknowledged is missing."""
        rows = await self.site.rows(self.site.alliance.members["bank"].id)
        effects = {body["event_id"]: body["effect"] for body in rows if body["kind"] == "access"}
        expected = {200: "permit", 403: "deny"}
        assert {event: effects.get(event) for event in self.acknowledged} == {
            event: expected[status] for event, status in self.acknowledged.items()
        }
        return [body for body in rows if body["kind"] == "access"]


@asynccontextmanager
async def reading(folder: Path, **over: Any) -> AsyncIterator[Reader]:
    """A site that has just served."""
    async with served(folder, **over) as site:
        reader = Reader(site, *await site.share_places())
        await reader.succeed()
        yield reader


def private(make: Callable[[], Service]) -> Iterator[Any]:
    """A server that a test may stop."""
    server = or_skip(make)
    with server:
        yield server


@pytest.fixture
def own_opa(opa_binary: Path) -> Iterator[OPA]:
    yield from private(lambda: OPA(opa_binary))


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    yield from private(PostgreSQL)


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    yield from private(Valkey)


@asynccontextmanager
async def _killed(service: Service) -> AsyncIterator[None]:
    service.kill()
    yield
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def _stopped(service: Service) -> AsyncIterator[None]:
    service.stop()
    yield
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def _frozen(service: Service) -> AsyncIterator[None]:
    """What a network that swallows packets looks like."""
    with service.frozen():
        yield


Outage = Callable[[Service], Any]


@pytest.mark.parametrize("outage", [_killed, _frozen])
async def test_without_opa_everything_undecided_is_refused_on_record(
    outage: Outage, own_opa: OPA, tmp_path: Path
) -> None:
    async with reading(tmp_path, opa_url=own_opa.url, opa_timeout_ms=_OPA_MS) as reader:
        before = len(await reader.entries())
        async with outage(own_opa):
            for _ in range(READS):  # more than the breaker lets through
                answer = await reader.be_refused("city")
                assert answer.json()["code"] == "indeterminate"
        refused = (await reader.entries())[before:]
        assert [body["effect"] for body in refused] == ["indeterminate"] * READS
        assert {body["reasons"][0]["code"] for body in refused} == {"POLICY_UNAVAILABLE"}
        assert not any("opening" in body for body in refused)
        await reader.resumed("city")
        await reader.entries()


@pytest.mark.parametrize("outage", [_stopped, _killed, _frozen])
async def test_without_postgresql_nothing_is_acknowledged_and_nothing_is_lost(
    outage: Outage, own_postgresql: PostgreSQL, valkey: Valkey, tmp_path: Path
) -> None:
    with database_on(own_postgresql) as url:
        async with reading(tmp_path, database_url=url, valkey_url=valkey.url) as reader:
            hotel = reader.site.alliance.members["hotel"]
            await reader.site.send_operators_home()
            async with outage(own_postgresql):
                refused = await asyncio.gather(*(reader.be_refused() for _ in range(READS)))
                assert all("event_id" not in answer.json() for answer in refused)
                assert (await hotel.ask_token()).status_code == 503
            await reader.resumed()
            await hotel.token()
            await reader.entries()


@pytest.mark.parametrize("outage", [_stopped, _frozen])
async def test_without_valkey_no_proof_is_believed(
    outage: Outage, own_valkey: Valkey, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with database_on(postgresql) as url:
        async with reading(tmp_path, database_url=url, valkey_url=own_valkey.url) as reader:
            before = len(await reader.entries())
            async with outage(own_valkey):
                for _ in range(2):
                    await reader.be_refused()
            assert len(await reader.entries()) == before
            await reader.resumed()
            await reader.entries()


async def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost(tmp_path: Path) -> None:
    if not hasattr(resource, "prlimit"):
        pytest.skip("This system cannot limit the files of another process: Linux can (prlimit).")
    async with reading(tmp_path) as reader:
        site, bank = reader.site, reader.site.alliance.members["bank"]
        token = await bank.token()
        resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (_log_size(site), resource.RLIM_INFINITY))
        full = [await _until_refused(reader)]
        full += [await reader.be_refused() for _ in range(READS)]
        assert all("event_id" not in answer.json() for answer in full)
        declared = await bank.post("/v1/datasets", token, {"name": "more", "schema": MARKET_SCHEMA})
        assert declared.status_code == 503, declared.text
        resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await reader.resumed()
        await reader.entries()
        await site.send_operators_home()
        site.server.stop()
        checked = sqlite3.connect(site.settings.sqlite_path)
        assert checked.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        checked.close()


def _log_size(site: Site) -> int:
    """Of the write-ahead log: not a byte more fits on the disk."""
    return Path(f"{site.settings.sqlite_path}-wal").stat().st_size


async def _until_refused(reader: Reader) -> httpx.Response:
    """SQLite may still fill what its log has free; what is answered until then counts as any other."""
    while (answer := await reader.read()).status_code == 200:
        assert len(reader.acknowledged) < 2000, "the disk is not full"
    assert answer.status_code == 503, answer.text
    return answer


async def test_a_clock_set_back_more_than_five_seconds_stops_the_ledger_until_it_has_caught_up(tmp_path: Path) -> None:
    clock = MovableClock()
    async with founded(tmp_path, clock) as alliance:
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        dataset = await bank.declare(MARKET_SCHEMA)
        agreement = await bank.agree(hotel, dataset, ["code"])
        banks, token = await bank.token(), await hotel.token(hotel.under(agreement, dataset))
        path = f"/v1/agreements/{agreement}/datasets/{dataset}/records"
        clock.ms += 10_000
        assert (await hotel.get(path, token)).status_code == 200
        clock.ms -= 5_000
        assert (await hotel.get(path, token)).status_code == 200
        clock.ms -= 1
        behind = await hotel.get(path, token)
        assert (behind.status_code, behind.json()["code"]) == (503, "clock_behind")
        ending = await bank.post(f"/v1/agreements/{agreement}/termination", banks)
        assert (ending.status_code, ending.json()["code"]) == (503, "clock_behind")
        clock.ms += 1
        assert (await hotel.get(path, token)).status_code == 200

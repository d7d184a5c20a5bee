"""Killed at any instant, the gateway has answered nothing that its ledger does not hold."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from gateway.ledger.merkle import leaf_hash
from tests.alliance import Member
from tests.databases import OF_TESTS, database_on
from tests.served import Site, served
from tests.services import ServiceFailed
from tests.services.or_skip import or_skip
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

KILLS = 50
CONNECTIONS = 6
DATABASE_KILLS = 5
LONGEST_LIFE_S = 0.25
PATIENCE_S = 20


@dataclass
class Load:
    """Readers that never give up, and what they were answered: event id → status."""

    site: Site
    path: str
    token: str
    answered: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    unavailable: int = 0
    over: bool = False
    reading: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def hotel(self) -> Member:
        return self.site.alliance.members["hotel"]

    async def answers(self, more: int = 1) -> None:
        """Wait until so many more answers have come."""
        wanted, deadline = len(self.answered) + more, time.monotonic() + PATIENCE_S
        while len(self.answered) < wanted:
            assert time.monotonic() < deadline, "the gateway does not answer any more"
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Hear what is still to be answered, and read no more."""
        self.over = True
        await asyncio.gather(*self.reading)

    async def read(self) -> None:
        """Read until the end: what is granted, and what is refused."""
        turn = 0
        while not self.over:
            turn += 1
            try:
                answer = await self.hotel.get(self.path, self.token, fields="margin" if turn % 3 == 0 else "code,price")
            except httpx.TransportError:
                self.lost += 1
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 503:
                self.unavailable += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == (403 if turn % 3 == 0 else 200), answer.text
            event = answer.json()["event_id"]
            assert event not in self.answered, "two answers share an entry"
            self.answered[event] = answer.status_code


@asynccontextmanager
async def loaded(site: Site) -> AsyncIterator[Load]:
    """The site under load, alone with its database."""
    path, token = await site.share_places(["code", "price"])
    await site.send_operators_home()
    load = Load(site, path, token)
    load.reading = [asyncio.create_task(load.read()) for _ in range(CONNECTIONS)]
    try:
        yield load
    finally:
        await load.end()


async def audit(load: Load, held: list[bytes]) -> int:
    """Everything that was answered is in the logs, which have no gap and one history; returns how many entries."""
    site = load.site
    owner = await site.rows(load.hotel.alliance.members["bank"].id)
    entries = {body["event_id"]: body for body in owner}
    assert len(entries) == len(owner), "an entry stands twice"
    for event, status in load.answered.items():
        assert entries[event]["effect"] == ("permit" if status == 200 else "deny")
    logs = [owner, *[await site.rows(log) for log in (load.hotel.alliance.id, load.hotel.id)]]
    check_chains([body for log in logs for body in log])
    await _check_evidence(site, load.hotel.alliance.members["bank"], held)
    return len(owner)


def check_chains(bodies: list[dict[str, Any]]) -> None:
    """Each node's entries, over all its logs and boots, name the one before by its hash, without a gap."""
    chains: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for body in bodies:
        assert body["node_seq"] not in chains[body["node"]], "a node gave a number twice"
        chains[body["node"]][body["node_seq"]] = body
    for chain in chains.values():
        previous = ""
        for number in range(len(chain)):
            body = chain[number]
            assert body["prev_node_hash"] == previous, f"entry {number} of a node does not name the one before"
            previous = urlsafe_b64encode(leaf_hash(body["_body"])).rstrip(b"=").decode()


async def _check_evidence(site: Site, owner: Member, held: list[bytes]) -> None:
    """`gateway export` and `gateway verify` as an auditor would run them, with every checkpoint held earlier."""
    bundle = site.folder / "evidence.zip"
    status, said = await site.export(owner.id, bundle, await site.permit(owner.id))
    assert status == 0, said
    _, keys = await site.command("admin", "logs")
    vkey = next(line.split('"')[3] for line in keys.splitlines() if '"vkey"' in line and owner.id in line)
    seen = []
    for number, note in enumerate(held):
        path = site.folder / f"seen-{number}"
        path.write_bytes(note)
        seen += ["--seen", str(path)]
    status, said = await site.command("verify", str(bundle), "--vkey", vkey, *seen)
    assert status == 0, said


async def test_fifty_kills_of_the_server_lose_no_answer(tmp_path: Path) -> None:
    chance = random.Random(2)
    held: list[bytes] = []
    async with served(tmp_path) as site, loaded(site) as load:
        head = tmp_path / "heads" / f"{load.hotel.alliance.members['bank'].id}.checkpoint"
        for number in range(KILLS):
            await load.answers()
            await asyncio.sleep(chance.random() * LONGEST_LIFE_S)
            site.server.kill()
            if number % 10 == 0 and head.exists():
                held.append(head.read_bytes())
            await asyncio.to_thread(site.server.start)
        await load.answers(CONNECTIONS)
        await load.end()
        size = await audit(load, held)
    print(
        f"\n{KILLS} kills, {len(load.answered)} answers acknowledged (all in the ledger), {load.lost} lost on the way, "
        f"{size} entries, {len(held)} checkpoints held meanwhile"
    )
    assert len(load.answered) > 2 * KILLS
    assert load.lost > KILLS
    assert {200, 403} == set(load.answered.values())
    assert held


async def _kill_a_backend(server: PostgreSQL) -> None:
    """End one of the gateway's own connections; PostgreSQL then ends all of them and recovers."""
    deadline = time.monotonic() + PATIENCE_S
    while not (pids := await _backends(server)):
        assert time.monotonic() < deadline, "the gateway is not connected"
        await asyncio.sleep(0.05)
    os.kill(random.choice(pids), signal.SIGKILL)


async def _backends(server: PostgreSQL) -> list[int]:
    """The processes that serve the gateway; none while the server recovers."""
    try:
        connection = await asyncpg.connect(server.url())
    except (OSError, asyncpg.PostgresError):
        return []
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND starts_with(datname, $1)",
            OF_TESTS,
        )
    finally:
        await connection.close()
    return [row["pid"] for row in rows]


async def _kill_the_postmaster(server: PostgreSQL) -> None:
    """End the server, and start it once its orphans have let go of its memory."""
    server.kill()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            await asyncio.to_thread(server.start)
        except ServiceFailed:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("kill", [_kill_a_backend, _kill_the_postmaster])
async def test_a_killed_postgresql_loses_no_answer(
    kill: Callable[[PostgreSQL], Awaitable[None]], valkey: Valkey, tmp_path: Path
) -> None:
    server = or_skip(PostgreSQL)
    with server, database_on(server) as url:
        async with served(tmp_path, database_url=url, valkey_url=valkey.url) as site, loaded(site) as load:
            for _ in range(DATABASE_KILLS):
                await load.answers(CONNECTIONS)
                await asyncio.sleep(random.random() * LONGEST_LIFE_S)
                await kill(server)
            await load.answers(CONNECTIONS)
            await load.end()
            size = await audit(load, [])
    print(
        f"\n{DATABASE_KILLS} × {kill.__name__}, {len(load.answered)} answers acknowledged (all in the ledger), "
        f"{load.unavailable} times 503, {size} entries"
    )
    assert len(load.answered) > DATABASE_KILLS * CONNECTIONS
    assert load.unavailable
    assert not load.lost, "the gateway itself went down"

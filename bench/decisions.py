"""What a decision costs: remembered, and cold in the embedded engine beside 10, 1,000 and 10,000 agreements.

`python -m bench.decisions`. A gateway on a real SQLite file; the agreements beside the one that is asked about are
copies of its row. Cold is what governs read anew from the database, the case made, and the rules evaluated: nothing is
remembered. CPU time is this process's, in small rounds that alternate, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, select

from gateway.access.deciding import Deciding
from gateway.access.governing import GoverningFacts
from gateway.access.request import AccessRequest
from gateway.agreements.tables import agreement
from gateway.app import Gateway
from gateway.catalog.ownership import Ownership
from gateway.confidentiality import Circumstances
from gateway.database import Query
from gateway.identifiers import random_id
from gateway.ledger import Effect
from gateway.policy import DecisionPoint, load_bundle
from gateway.policy.rego import EmbeddedRego
from tests.access.world import PLACES, MovableClock, Shared
from tests.alliance import MARKET_SCHEMA, POLICIES, founded

SIZES = (10, 1_000, 10_000)
ROUNDS = 15
COLD_CALLS = 20
WARM_CALLS = 20_000
GOAL_WARM_US = 2.0
GOAL_COLD_MS = 3.0
_ALL = Query(select(agreement))


class Asked:
    """One alliance with so many agreements, and one question about one of them."""

    def __init__(self, gateway: Gateway, request: AccessRequest) -> None:
        self._gateway = gateway
        self._request = request
        self._engine = EmbeddedRego(load_bundle(POLICIES))
        self.cold_s: list[float] = []
        self.cold_cpu_s: list[float] = []
        self.warm_cpu_s: list[float] = []

    async def cold(self) -> None:
        """Ask with nothing remembered."""
        gateway, points = self._gateway, DecisionPoint(self._engine, memo_capacity=0)
        await points.start()
        for _ in range(COLD_CALLS):
            facts = GoverningFacts(gateway.database, gateway.agreements, gateway.datasets, Circumstances(Ownership()))
            deciding = Deciding(points, gateway.clock)
            cpu, clock = time.process_time(), time.perf_counter()
            judgement = await deciding.judge(self._request, await facts.read(self._request, fresh=True))
            self.cold_s.append(time.perf_counter() - clock)
            self.cold_cpu_s.append(time.process_time() - cpu)
            assert judgement.decision.effect is Effect.PERMIT

    async def warm(self) -> None:
        """Ask again and again what is remembered."""
        gateway = self._gateway
        facts = GoverningFacts(gateway.database, gateway.agreements, gateway.datasets, Circumstances(Ownership()))
        governing = await facts.read(self._request, fresh=True)
        deciding, request = Deciding(gateway.decisions, gateway.clock), self._request
        await deciding.judge(request, governing)
        begun = time.process_time()
        for _ in range(WARM_CALLS):
            await deciding.judge(request, governing)
        self.warm_cpu_s.append((time.process_time() - begun) / WARM_CALLS)

    async def close(self) -> None:
        """End the engine."""
        await self._engine.close()


@asynccontextmanager
async def _alliance(folder: Path, size: int) -> AsyncIterator[Asked]:
    folder.mkdir()  # noqa: ASYNC240 - before anything runs
    clock = MovableClock()
    async with founded(folder, clock) as alliance:
        shared = Shared(alliance, clock)
        dataset = await shared.bank.declare(MARKET_SCHEMA)
        await shared.bank.upload(dataset, PLACES)
        signed = await shared.bank.agree(shared.hotel, dataset, ("code", "city"))
        [row] = await alliance.gateway.database.all(_ALL)
        async with alliance.gateway.database.transaction() as tx:
            for _ in range(size - 1):
                await tx.run(_COPY, **{**{column.name: row[column.name] for column in agreement.c}, "id": random_id()})
        token = await shared.hotel.token(shared.hotel.under(signed, dataset))
        subject = await shared.subject(shared.hotel, token)
        asked = Asked(alliance.gateway, AccessRequest(subject, signed, dataset, "market_analysis"))
        try:
            yield asked
        finally:
            await asked.close()


_COPY = Query(insert(agreement))


async def _compare(console: Console, folder: Path) -> None:
    async with (
        _alliance(folder / "small", SIZES[0]) as small,
        _alliance(folder / "middle", SIZES[1]) as middle,
        _alliance(folder / "large", SIZES[2]) as large,
    ):
        every = dict(zip(SIZES, (small, middle, large), strict=True))
        for _ in range(ROUNDS):
            for asked in every.values():
                await asked.cold()
                await asked.warm()
        _show(console, every)


def _show(console: Console, every: dict[int, Asked]) -> None:
    table = Table("agreements", "cold p50 ms", "cold CPU ms", "ratio to the smallest", "remembered CPU µs", "goals")
    least = median(every[SIZES[0]].cold_cpu_s)
    for size, asked in every.items():
        cold, cpu, warm = median(asked.cold_s), median(asked.cold_cpu_s), median(asked.warm_cpu_s) * 1e6
        met = (warm <= GOAL_WARM_US, cold * 1000 <= GOAL_COLD_MS)
        goals = f"≤ {GOAL_WARM_US:g} µs {_mark(met[0])}, ≤ {GOAL_COLD_MS:g} ms {_mark(met[1])}"
        table.add_row(
            f"{size:,}", f"{cold * 1000:.2f}", f"{cpu * 1000:.2f}", f"{cpu / least:.2f}", f"{warm:.2f}", goals
        )
    console.print(table)


def _mark(met: bool) -> str:
    return "met" if met else "missed"


def main(console: Console | None = None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_compare(console or Console(width=150), Path(folder)))


if __name__ == "__main__":
    main()

"""What joining consent costs: a page of 100 consented records beside the same page without the join.

`python -m bench.consents`. The whole cycle of an access in this process, on SQLite, and on PostgreSQL with a million
other consents to the same dataset, put straight into its tables. Without the join is the same statement, the same
records and keys, but every field counts as consented. Rounds of both alternate, and a ratio is that of one pair, by
rate; no permit of them is the first to disclose, as it is with nearly every page. PostgreSQL knows its statistics, as
autovacuum sees to within its naptime; the rounds before it does are shown too.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest.mock import patch

import asyncpg
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import BigInteger, Text, and_, bindparam, literal, select, union_all

from gateway.access import selection
from gateway.access.governing import governing_row
from gateway.access.request import AccessRequest
from gateway.catalog.tables import record, upload
from gateway.consents.tables import consent
from gateway.database import Query
from gateway.identifiers import random_id
from gateway.vault.tables import subject_key
from tests.access.world import Deal, MovableClock, Shared, person
from tests.alliance import founded
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

PAGE = 100
PAGES_A_ROUND = 20
ROUNDS = 15
MANY = 1_000_000
GOAL = 0.7
_BATCH = 50_000
_EVERY_FIELD = (1 << 62) - 1
_FOR_EVER = 2**40


def _unjoined(_: selection.Shape) -> Query:
    """The statement of a page, with neither consent nor a condition on one."""
    rows = (
        select(
            *(record.c[name] for name in ("id", "version", "pseudonym", "sealed")),
            *(subject_key.c.id.label("key_id"), subject_key.c.wrapped, subject_key.c.key_version),
            literal("consent", Text).label("consent"),
            literal(_EVERY_FIELD, BigInteger).label("consented"),
            literal(_FOR_EVER, BigInteger).label("expires_at"),
            literal(0, BigInteger).label("mark"),
        )
        .join(upload, and_(upload.c.no == record.c.upload_no, upload.c.state == "published"))
        .join(subject_key, subject_key.c.id == record.c.subject_key_id)
        .where(record.c.dataset_no == bindparam("dataset_no", type_=BigInteger), record.c.id > bindparam("after"))
        .order_by(record.c.id)
        .limit(bindparam("most", type_=BigInteger))
        .subquery("chosen")
    )
    governing = governing_row().subquery("governing")
    versions = selection._without_id(rows, version=governing.c.narrowing, pseudonym=governing.c.versions)
    return Query(union_all(select(*versions), select(*rows.c)))


@contextmanager
def _without_join() -> Iterator[None]:
    query = _unjoined(selection.Shape(personal=True, named=0, filters=0))
    with patch.object(selection, "_statement", lambda _: query):
        yield


class Page:
    """A page of consented records, read again and again."""

    def __init__(self, shared: Shared, request: AccessRequest) -> None:
        self._release = shared.gateway.enforcement.release
        self._request = request
        self.joined_s: list[float] = []
        self.unjoined_s: list[float] = []

    @classmethod
    async def of(cls, shared: Shared) -> Page:
        """Customers that all consent, under an agreement."""
        dataset = await shared.people(range(PAGE + 1))
        numbers = [person(number)["customer_no"] for number in range(PAGE + 1)]
        await shared.bank.consent(dataset, shared.hotel, *numbers)
        agreed = await shared.bank.agree(shared.hotel, dataset, ("name", "phone"), purposes=["customer_referral"])
        deal = Deal(agreed, dataset)
        subject = await shared.subject(shared.hotel, await shared.referral_token(deal))
        return cls(shared, AccessRequest(subject, agreed, dataset, "customer_referral", limit=PAGE))

    async def rounds(self, count: int) -> None:
        """Paired rounds, after one that warms up and discloses for the first time."""
        await self._round()
        for _ in range(count):
            self.joined_s.append(await self._round())
            with _without_join():
                self.unjoined_s.append(await self._round())

    async def _round(self) -> float:
        begun = time.perf_counter()
        for _ in range(PAGES_A_ROUND):
            released = await self._release(self._request)
            assert len(released.records) == PAGE
        return (time.perf_counter() - begun) / PAGES_A_ROUND


@asynccontextmanager
async def _page(folder: Path, **settings: Any) -> AsyncIterator[Page]:
    clock = MovableClock()
    async with founded(folder, clock, **settings) as alliance:
        yield await Page.of(Shared(alliance, clock))


async def _fill(url: str, count: int) -> None:
    """So many consents of other persons, to the same dataset, recipient and purpose; and the statistics of them all."""
    connection = await asyncpg.connect(url)
    try:
        [found] = await connection.fetch("SELECT * FROM consent LIMIT 1")
        row = dict(found)
        names = [column.name for column in consent.c]
        for begin in range(0, count, _BATCH):
            rows = [
                tuple((row | {"id": random_id(), "pseudonym": random_id() * 2})[name] for name in names)
                for _ in range(min(_BATCH, count - begin))
            ]
            await connection.copy_records_to_table("consent", records=rows, columns=names)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _compare(console: Console, folder: Path, rounds: int, many: int) -> None:
    table = Table("database", "consents", "with the join ms", "without ms", "ratio (range)", f"goal ≥ {GOAL:g}")
    (folder / "sqlite").mkdir()
    async with _page(folder / "sqlite") as page:
        await page.rounds(rounds)
        _show(table, "SQLite", PAGE + 1, page)
    with PostgreSQL() as server, Valkey() as valkey:
        server.execute("CREATE DATABASE consents")
        url = server.url("consents")
        (folder / "postgresql").mkdir()
        async with _page(folder / "postgresql", database_url=url, valkey_url=valkey.url) as page:
            await page.rounds(rounds)
            _show(table, "PostgreSQL, never analysed", PAGE + 1, page)
            for others in (0, many):
                await _fill(url.replace("postgresql+asyncpg", "postgresql"), others)
                await page.rounds(rounds)
                _show(table, "PostgreSQL", others + PAGE + 1, page)
    console.print(table)


def _show(table: Table, name: str, consents: int, page: Page) -> None:
    ratios = [without / joined for joined, without in zip(page.joined_s, page.unjoined_s, strict=True)]
    ratio = median(ratios)
    times = [f"{median(each) * 1000:.2f}" for each in (page.joined_s, page.unjoined_s)]
    page.joined_s, page.unjoined_s = [], []
    told = f"{ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    table.add_row(name, f"{consents:,}", *times, told, "met" if ratio >= GOAL else "missed")


def main(
    rounds: Annotated[int, typer.Option(help="Paired rounds.", min=1)] = ROUNDS,
    many: Annotated[int, typer.Option(help="Other consents on PostgreSQL.", min=1)] = MANY,
) -> None:
    """Print the table."""
    run(Console(width=150), rounds=rounds, many=many)


def run(console: Console, *, rounds: int = ROUNDS, many: int = MANY) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(console, Path(folder), rounds, many))


if __name__ == "__main__":
    typer.run(main)

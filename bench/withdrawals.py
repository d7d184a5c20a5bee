"""Reads against withdrawals on two processes over PostgreSQL: permits that follow a withdrawal, and late answers.

`python -m bench.withdrawals [--reads N] [--persons N]`: 10,000 reads and 1,000 withdrawals by default. It ends with an
error if any of the counts that must be 0 is not.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from tests.databases import database_on
from tests.journeys.withdrawing import Found, Race
from tests.served import served
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey


def main(reads: int = 10_000, persons: int = 1_000) -> None:
    """Print the table."""
    with PostgreSQL() as server, Valkey() as valkey, database_on(server) as url:
        found, seconds = asyncio.run(_race(url, valkey.url, reads, persons))
    table = Table("counted", "figure")
    table.add_row("reads, by status", f"{found.reads}, {found.statuses}")
    table.add_row("withdrawals", f"{found.withdrawals}, {found.repeated} sent again after 503")
    table.add_row("processes", str(found.nodes))
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("reads and withdrawals a second", f"{(found.reads + found.withdrawals) / seconds:.0f}")
    for name, count in found.wrong.items():
        table.add_row(f"{name.replace('_', ' ')} (0)", str(count))
    Console(width=120).print(table)
    if any(found.wrong.values()):
        raise typer.Exit(1)


async def _race(url: str, valkey: str, reads: int, persons: int) -> tuple[Found, float]:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder), processes=2, database_url=url, valkey_url=valkey) as site:
            race = await Race.prepared(site, persons)
            seconds = await race.run(reads)
            return await race.found(), seconds


if __name__ == "__main__":
    typer.run(main)

"""Approves one proposal of the world's act, in a process of its own. Run by test_processes.py.

`approve_once DATABASE PROPOSAL OPERATOR NODE [hang]`: says `ready`, waits for a line, approves, says what came of it.
With `hang` it stops for ever after the act and before the commit, and says `performed`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.database import Database
from gateway.database.postgresql import PostgreSQLDatabase
from gateway.database.sqlite import SQLiteDatabase
from gateway.errors import GatewayError
from tests.approvals.world import World


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def hang() -> None:
    say("performed")
    await asyncio.sleep(3600)


async def main(url: str, proposal: str, operator: str, node: str, *how: str) -> None:
    database: Database
    if url.startswith("sqlite:"):
        database = SQLiteDatabase(Path(url.removeprefix("sqlite:///")))
    else:
        database = await PostgreSQLDatabase.connect(url)
    world = World(database, node)
    if how == ("hang",):
        world.renaming.before_commit = hang
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    try:
        say(f"approved: {await world.approvals.approve(proposal, operator=operator)}")
    except GatewayError as error:
        say(f"refused: {error.code}")
    await world.ledger.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

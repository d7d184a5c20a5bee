"""Appends until it is killed, and prints each event id only once it was answered. Run by test_kill.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.database.sqlite import SQLiteDatabase
from tests.ledger.builders import new_ledger, permit


async def main(path: Path) -> None:
    ledger = new_ledger(SQLiteDatabase(path))

    async def append() -> None:
        number = 0
        while True:
            entry = await ledger.record(permit(number))
            sys.stdout.write(f"{entry.index} {entry.event_id}\n")
            sys.stdout.flush()
            number += 1

    await asyncio.gather(*(append() for _ in range(16)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

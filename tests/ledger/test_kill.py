"""A process killed at any moment has answered nothing that is not durable."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from gateway.canonical import parse_canonical
from gateway.database.sqlite import SQLiteDatabase
from gateway.ledger.merkle import leaf_hash
from tests.ledger.builders import LEAVES, opened

_ROUNDS = 6
_ROOT = Path(__file__).resolve().parents[2]


async def test_every_answered_entry_survives_a_kill(sqlite_path: Path, tmp_path: Path) -> None:
    database = SQLiteDatabase(sqlite_path)
    await (await opened(database)).close()
    await database.close()
    answered: dict[int, str] = {}
    chance = random.Random(7)
    for number in range(_ROUNDS):
        heard = tmp_path / f"heard-{number}"
        with heard.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.ledger.appending_forever", sqlite_path), stdout=output, cwd=_ROOT
            )
            for _ in range(200):
                await asyncio.sleep(0.05)
                if heard.stat().st_size:
                    break
            await asyncio.sleep(chance.random() / 4)
            process.kill()
            await process.wait()
        for line in heard.read_text().split("\n")[:-1]:
            index, event = line.split()
            assert int(index) not in answered, "an index was given twice"
            answered[int(index)] = event
    assert len(answered) > _ROUNDS
    database = SQLiteDatabase(sqlite_path)
    rows = await database.all(LEAVES)
    await database.close()
    assert [row["idx"] for row in rows] == list(range(len(rows)))
    assert all(rows[index]["event_id"] == event for index, event in answered.items())
    bodies = [parse_canonical(bytes(row["body"])) for row in rows]
    assert [body["node_seq"] for body in bodies] == list(range(len(rows)))
    assert all(bytes(row["hash"]) == leaf_hash(bytes(row["body"])) for row in rows)

"""Who comes while others are still coming is in the same transaction, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.database import Database
from gateway.ledger import Ledger, Recorded
from gateway.ledger.appending import Appender
from gateway.ledger.committer import ENOUGH, QUIET_TURNS

from .builders import denial, opened

TOGETHER = 6


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were appended."""
    sizes: list[int] = []
    append = Appender.append

    async def noted(appender: Appender, tx: object, heads: object, entries: Sequence[object]) -> object:
        sizes.append(len(entries))
        return await append(appender, tx, heads, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(Appender, "append", noted)
    return sizes


async def entered(ledger: Ledger, number: int, *, turns: int) -> Recorded:
    """An entry that comes after so many turns of the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return await ledger.record(denial(number))


async def test_entries_that_keep_coming_share_a_transaction(sqlite_database: Database, batches: list[int]) -> None:
    ledger = await opened(sqlite_database)
    recorded = await asyncio.gather(
        *[entered(ledger, number, turns=number * QUIET_TURNS) for number in range(TOGETHER)]
    )
    assert [one.index for one in recorded] == list(range(TOGETHER))
    assert batches == [TOGETHER]


async def test_a_batch_begins_when_nobody_has_come_for_some_turns(
    sqlite_database: Database, batches: list[int]
) -> None:
    ledger = await opened(sqlite_database)
    await asyncio.gather(entered(ledger, 1, turns=0), entered(ledger, 2, turns=2 * QUIET_TURNS + 2))
    assert batches == [1, 1]


async def test_a_batch_of_enough_entries_waits_for_nobody(sqlite_database: Database, batches: list[int]) -> None:
    ledger = await opened(sqlite_database)
    await asyncio.gather(*[entered(ledger, number, turns=number) for number in range(2 * ENOUGH)])
    assert batches[0] == ENOUGH
    assert sum(batches) == 2 * ENOUGH

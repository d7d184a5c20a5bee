"""What both engines promise to whoever speaks to them in `Query`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import func, insert, select

from gateway.database import AlreadyExists, Database, Query
from gateway.database.sqlite import KEPT_IDLE, SQLiteDatabase
from gateway.database.statements import ROWS_AT_ONCE
from gateway.identity.tables import revoked_token

_NEW = Query(insert(revoked_token))
_ALL = Query(select(revoked_token).order_by(revoked_token.c.expires_at))
_COUNT = Query(select(func.count().label("count")).select_from(revoked_token))


def _rows(count: int, first: int = 0) -> list[dict[str, object]]:
    return [{"token": f"token {number}", "expires_at": number} for number in range(first, first + count)]


async def _count(database: Database) -> int:
    row = await database.one(_COUNT)
    assert row is not None
    return int(row["count"])


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE + 7])
async def test_many_rows_are_inserted_each_as_it_is_however_many(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        await tx.many(_NEW, _rows(count))
    stored = [{"token": row["token"], "expires_at": row["expires_at"]} for row in await database.all(_ALL)]
    assert stored == _rows(count)


@pytest.mark.parametrize("place", [3, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3])
async def test_a_repeated_key_among_many_is_named_so_and_nothing_stays(database: Database, place: int) -> None:
    rows: Sequence[dict[str, object]] = _rows(2 * ROWS_AT_ONCE + 5)
    rows[place]["token"] = rows[place - 1]["token"]
    with pytest.raises(AlreadyExists):
        async with database.transaction() as tx:
            await tx.many(_NEW, rows)
    assert await _count(database) == 0


async def test_a_reading_stays_at_its_snapshot_and_the_next_one_sees_what_was_committed(database: Database) -> None:
    for round_of_many in range(2 * KEPT_IDLE):
        async with database.reading() as reading:
            assert len(await reading.all(_ALL)) == round_of_many
            async with database.transaction() as tx:
                await tx.many(_NEW, _rows(1, first=round_of_many))
            assert len(await reading.all(_ALL)) == round_of_many


async def test_a_reading_that_ends_in_an_error_holds_no_snapshot_for_the_next(database: Database) -> None:
    async def failing() -> None:
        async with database.reading() as reading:
            assert await reading.all(_ALL) == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    async with database.transaction() as tx:
        await tx.many(_NEW, _rows(1))
    async with database.reading() as reading:
        assert len(await reading.all(_ALL)) == 1


async def test_readings_at_once_each_have_their_own_snapshot(sqlite_database: SQLiteDatabase) -> None:
    snapshots = [sqlite_database.reading() for _ in range(KEPT_IDLE + 2)]
    for number, snapshot in enumerate(snapshots):
        reading = await snapshot.__aenter__()
        assert len(await reading.all(_ALL)) == number
        async with sqlite_database.transaction() as tx:
            await tx.many(_NEW, _rows(1, first=number))
    for snapshot in snapshots:
        await snapshot.__aexit__(None, None, None)
    async with sqlite_database.reading() as reading:
        assert len(await reading.all(_ALL)) == len(snapshots)

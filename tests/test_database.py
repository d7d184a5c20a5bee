"""What both engines promise to whoever speaks to them in `Query`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, Self

import asyncpg
import pytest
from sqlalchemy import BigInteger, Text, bindparam, func, insert, literal, select

from gateway.access.governing import governing_row
from gateway.database import AlreadyExists, CommitUnknown, Database, DatabaseUnavailable, NotStorable, Query
from gateway.database.creation import change_schema
from gateway.database.postgresql import PostgreSQLDatabase, _roll_back
from gateway.database.sqlite import KEPT_IDLE, SQLiteDatabase, connect
from gateway.database.statements import ROWS_AT_ONCE
from gateway.identity.tables import revoked_token
from gateway.migrations.schema import complete_metadata
from tests.services.or_skip import or_skip
from tests.services.postgresql import PostgreSQL

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


_CONSTANTS = ("it's", "100 %", "%s :of $1 ?", 'a "name"', "back\\slash", "\u4e2d\u6587", "", "null")


@pytest.mark.parametrize("constant", [*_CONSTANTS, 0, -1, 2**63 - 1])
async def test_a_constant_of_a_statement_comes_back_as_it_is(database: Database, constant: str | int) -> None:
    kind = BigInteger() if isinstance(constant, int) else Text()
    said = Query(select(literal(constant, kind).label("said"), bindparam("given", type_=Text()).label("given")))
    row = await database.one(said, given="given")
    assert row is not None
    assert (row["said"], row["given"]) == (constant, "given")


def test_only_what_callers_give_is_bound() -> None:
    of_governing = Query(governing_row())
    for text in (of_governing.sqlite, of_governing.postgresql):
        assert set(text.names) == {"agreement", "dataset", "member", "client", "token", "signed_by"}


@pytest.mark.parametrize("place", [3, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3])
async def test_a_repeated_key_among_many_is_named_so_and_nothing_stays(database: Database, place: int) -> None:
    rows: Sequence[dict[str, object]] = _rows(2 * ROWS_AT_ONCE + 5)
    rows[place]["token"] = rows[place - 1]["token"]
    with pytest.raises(AlreadyExists):
        async with database.transaction() as tx:
            await tx.many(_NEW, rows)
    assert await _count(database) == 0


_NOWHERE = Query(select(revoked_token).where(revoked_token.c.token == bindparam("of")))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"token": "\ud800", "expires_at": 1}, "token"),
        ({"token": "a", "expires_at": 2**63}, "expires_at"),
        ({"token": "a", "expires_at": -(2**63) - 1}, "expires_at"),
    ],
)
async def test_what_no_column_holds_is_named_and_nothing_stays(
    database: Database, row: dict[str, Any], field: str
) -> None:
    for rows in ([*_rows(3), row], [*_rows(ROWS_AT_ONCE - 1), row]):
        with pytest.raises(NotStorable) as many:
            async with database.transaction() as tx:
                await tx.many(_NEW, rows)
        with pytest.raises(NotStorable) as one:
            async with database.transaction() as tx:
                await tx.run(_NEW, **row)
        assert (many.value.field, one.value.field) == (field, field)
    assert await _count(database) == 0


async def test_no_text_with_a_zero_is_a_fault_of_the_gateway(postgresql_database: PostgreSQLDatabase) -> None:
    async def kept() -> None:
        async with postgresql_database.transaction() as tx:
            await tx.run(_NEW, token="a\0b", expires_at=1)

    async def kept_among_many() -> None:
        async with postgresql_database.transaction() as tx:
            await tx.many(_NEW, [*_rows(3), {"token": "a\0b", "expires_at": 1}])

    for ask, field in (
        (kept, "token"),
        (kept_among_many, "token"),
        (lambda: postgresql_database.all(_NOWHERE, of="\0"), "of"),
        (lambda: postgresql_database.one(_NOWHERE, of="\0"), "of"),
    ):
        with pytest.raises(NotStorable) as refused:
            await ask()
        assert refused.value.field == field
    assert await _count(postgresql_database) == 0


async def test_no_text_too_long_for_its_index_is_a_fault_of_the_gateway(
    postgresql_database: PostgreSQLDatabase,
) -> None:
    for rows in ([], _rows(3)):
        with pytest.raises(NotStorable) as refused:
            async with postgresql_database.transaction() as tx:
                await tx.many(_NEW, [*rows, {"token": secrets.token_hex(8000), "expires_at": 1}])
        assert refused.value.field == "token"
    assert await _count(postgresql_database) == 0


async def test_a_value_of_the_wrong_kind_is_a_fault_of_the_gateway(postgresql_database: PostgreSQLDatabase) -> None:
    with pytest.raises(asyncpg.DataError):
        await postgresql_database.all(_NOWHERE, of=7)


async def test_a_reading_stays_at_its_snapshot_and_the_next_one_sees_what_was_committed(database: Database) -> None:
    for round_of_many in range(2 * KEPT_IDLE):
        async with database.reading() as reading:
            assert len(await reading.all(_ALL)) == round_of_many
            async with database.transaction() as tx:
                await tx.many(_NEW, _rows(1, first=round_of_many))
            assert len(await reading.all(_ALL)) == round_of_many


async def test_what_is_not_committed_nobody_else_sees(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.many(_NEW, _rows(2))
        assert len(await tx.all(_ALL)) == 2
        assert await _count(database) == 0
        assert await database.all(_ALL) == []
    assert await _count(database) == 2


async def test_what_a_transaction_left_open_by_a_failure_holds_nobody_sees(sqlite_database: SQLiteDatabase) -> None:
    sqlite_database._writer.execute("BEGIN IMMEDIATE")
    await sqlite_database._resting.many(_NEW, _rows(2))
    assert await _count(sqlite_database) == 0
    assert await sqlite_database.all(_ALL) == []
    sqlite_database._writer.execute("ROLLBACK")


async def test_while_a_commit_is_on_its_way_nobody_waits_for_the_writer(sqlite_database: SQLiteDatabase) -> None:
    assert sqlite_database._nearest() is sqlite_database._resting
    async with sqlite_database._alone:  # COMMIT is no transaction any more before it has reached the disk
        assert sqlite_database._nearest() is sqlite_database._reader


async def test_what_another_process_commits_is_seen_at_once(sqlite_database: SQLiteDatabase, sqlite_path: Path) -> None:
    assert await _count(sqlite_database) == 0
    with closing(connect(sqlite_path)) as other:
        other.execute("INSERT INTO revoked_token (token, expires_at) VALUES ('another', 1)")
    assert await _count(sqlite_database) == 1


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


async def test_a_commit_that_nobody_waits_for_any_more_commits_nothing_of_the_next_transaction(
    sqlite_database: SQLiteDatabase,
) -> None:
    """Cancelled twice, and the thread that commits is busy: another one's half was committed in its place."""
    released, written = Event(), asyncio.Event()

    async def first() -> None:
        async with sqlite_database.transaction() as tx:
            await tx.many(_NEW, _rows(1))
            written.set()

    async def second() -> None:
        async with sqlite_database.transaction() as tx:
            await tx.many(_NEW, _rows(1, first=1))
            await asyncio.sleep(0.05)
            raise ZeroDivisionError

    sqlite_database._flush.submit(released.wait, 30)
    committing = asyncio.create_task(first())
    await written.wait()
    for _ in range(2):
        committing.cancel()
        await asyncio.sleep(0)
    next_one = asyncio.create_task(second())
    await asyncio.sleep(0.02)
    released.set()
    await asyncio.gather(committing, next_one, return_exceptions=True)
    assert isinstance(next_one.exception(), ZeroDivisionError)
    assert committing.cancelled()
    assert [row["token"] for row in await sqlite_database.all(_ALL)] == ["token 0"]


_SLOW_COMMIT = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON revoked_token DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow()
"""


@pytest.mark.parametrize("times", [1, 2])
async def test_a_commit_of_postgresql_is_waited_for_however_often_its_caller_is_cancelled(
    postgresql_database: PostgreSQLDatabase, times: int
) -> None:
    async with postgresql_database._held() as connection:
        await connection.execute(_SLOW_COMMIT)
    committing = asyncio.Event()

    async def write() -> None:
        async with postgresql_database.transaction() as tx:
            await tx.many(_NEW, _rows(1))
            asyncio.get_running_loop().call_later(0.1, committing.set)

    writing = asyncio.create_task(write())
    await committing.wait()
    for _ in range(times):
        writing.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await _count(postgresql_database) == 1


@pytest.mark.parametrize("more", [True, False])
async def test_a_connection_that_the_server_ends_within_a_transaction_is_a_database_that_cannot_answer(
    postgresql: PostgreSQL, postgresql_database: PostgreSQLDatabase, more: bool
) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = '{}'"
    )
    name = await postgresql_database._pool.fetchval("SELECT current_database()")

    async def write() -> None:
        async with postgresql_database.transaction() as tx:
            await tx.many(_NEW, _rows(1))
            await asyncio.to_thread(postgresql.execute, end.format(name))
            await asyncio.sleep(0.2)
            if more:
                await tx.many(_NEW, _rows(1, first=1))

    with pytest.raises(DatabaseUnavailable) as lost:
        await write()
    assert isinstance(lost.value, CommitUnknown) is not more
    assert await _count(postgresql_database) == 0


class Silent:
    """A connection, and a pool of it, that no longer answers."""

    def __init__(self) -> None:
        self.closed = False
        self.committing = asyncio.Event()

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True

    def transaction(self) -> Self:
        return self

    async def start(self) -> None:
        """It answered then."""

    async def rollback(self) -> None:
        raise TimeoutError

    async def commit(self) -> None:
        self.committing.set()
        await asyncio.sleep(0.05)
        raise TimeoutError

    async def acquire(self, timeout: float) -> Self:
        return self

    async def release(self, connection: object) -> None:
        raise TimeoutError


async def test_a_cancellation_is_none_but_itself_though_the_server_does_not_answer() -> None:
    silent: Any = Silent()
    database, entered = PostgreSQLDatabase(silent, ""), asyncio.Event()

    async def hold() -> None:
        async with database._held():
            entered.set()
            await asyncio.sleep(60)

    holding = asyncio.create_task(hold())
    await entered.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding


async def test_a_connection_whose_commit_nobody_answers_is_closed_though_its_caller_is_gone() -> None:
    silent: Any = Silent()
    database = PostgreSQLDatabase(silent, "")

    async def write() -> None:
        async with database.transaction():
            pass

    writing = asyncio.create_task(write())
    await silent.committing.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert silent.closed


async def test_a_connection_that_cannot_roll_back_is_closed_for_a_transaction_may_be_open_in_it() -> None:
    silent: Any = Silent()
    await _roll_back(silent, silent)
    assert silent.closed


def test_sqlite_commits_to_the_disk_and_overwrites_what_is_deleted(sqlite_path: Path) -> None:
    said = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}
    with closing(connect(sqlite_path)) as connection:
        assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in said} == said


async def test_postgresql_commits_to_the_disk_whatever_its_database_is_set_to(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    postgresql.execute(f"ALTER DATABASE {postgresql_url.rpartition('/')[2]} SET synchronous_commit = off")
    database = await PostgreSQLDatabase.connect(postgresql_url)
    assert await database._pool.fetchval("SHOW synchronous_commit") == "on"
    await database.close()


async def _refuses(database: Database, how: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=how):
        await _count(database)
    with pytest.raises(DatabaseUnavailable, match=how):
        async with database.reading() as reading:
            await reading.all(_ALL)
    with pytest.raises(DatabaseUnavailable, match=how):
        async with database.transaction() as tx:
            await tx.all(_ALL)


async def test_a_damaged_file_is_a_database_that_cannot_answer(sqlite_path: Path) -> None:
    with closing(connect(sqlite_path)) as connection:
        at = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'revoked_token'"
        pages = [row[0] for row in connection.execute(at)]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with sqlite_path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"Z" * size)
    database = SQLiteDatabase(sqlite_path)
    await _refuses(database, "damaged")
    await database.close()
    sqlite_path.write_bytes(b"Z" * size)
    with pytest.raises(DatabaseUnavailable, match="damaged"):
        SQLiteDatabase(sqlite_path)


async def test_a_snapshot_without_a_connection_is_a_database_that_cannot_answer(sqlite_path: Path) -> None:
    database = SQLiteDatabase(sqlite_path)
    sqlite_path.rename(sqlite_path.with_name("elsewhere"))
    sqlite_path.mkdir()
    with pytest.raises(DatabaseUnavailable):
        async with database.reading():
            pass
    await database.close()


async def test_a_damaged_page_of_postgresql_is_a_database_that_cannot_answer() -> None:
    with or_skip(PostgreSQL) as server:
        await change_schema(server.url(), complete_metadata().create_all)
        database = await PostgreSQLDatabase.connect(server.url())
        async with database.transaction() as tx:
            await tx.many(_NEW, _rows(1))
        where = await database._pool.fetchval("SELECT pg_relation_filepath('revoked_token')")
        await database.close()
        server.stop()
        with (server.directory / "data" / where).open("r+b") as file:
            file.write(b"Z" * 8192)
        server.start()
        database = await PostgreSQLDatabase.connect(server.url())
        await _refuses(database, "cannot answer")
        await database.close()


async def test_another_database_or_password_is_a_database_that_cannot_answer(postgresql: PostgreSQL) -> None:
    for url in (postgresql.url("nowhere"), postgresql.url().replace("gateway:", "gateway:not-")):
        with pytest.raises(DatabaseUnavailable):
            await PostgreSQLDatabase.connect(url)

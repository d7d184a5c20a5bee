"""SQLite in WAL mode: the embedded default, one writer, one process.

Statements run on the event loop's thread (about ten microseconds each); only COMMIT, which waits
for the disk, runs on a thread of its own, so that a flush stops nobody else. While the writer rests, it is what reads:
a connection drops the pages that it holds as soon as another one has written.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.database.interface import (
    AlreadyExists,
    DatabaseUnavailable,
    NotStorable,
    Reading,
    Row,
    TableMissing,
    Transaction,
    unstorable,
)
from gateway.database.statements import ROWS_AT_ONCE, Query
from gateway.finishing import finished

sqlite3.register_adapter(bytes, bytes)  # itself: else each parameter of bytes is asked for adapters, in vain, for 1 us
_LOCK_PATIENCE_S = 5.0
_LOCK_PAUSE_S = 0.002
KEPT_IDLE = 4
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNSTORABLE = (OverflowError, UnicodeEncodeError)  # as sqlite3 says it of an argument
_PRIMARY = 0xFF  # of an error's extended code


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the durability and the secrecy that the ledger and shredding rely on."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "busy_timeout=0",
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _deliberate(error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.IntegrityError) and "UNIQUE" in str(error):
        return AlreadyExists()
    if isinstance(error, sqlite3.OperationalError):
        return TableMissing() if "no such table" in str(error) else DatabaseUnavailable()
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED:
        return DatabaseUnavailable("The database is damaged.")
    return error


@contextmanager
def _deliberate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _deliberate(error) from error


class _Session:
    """One connection, spoken to in `Query`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _execute(self, query: Query, given: dict[str, Any]) -> sqlite3.Cursor:
        text = query.sqlite
        try:
            return self._connection.execute(text.sql, text.arguments(given))
        except sqlite3.Error as error:
            raise _deliberate(error) from error
        except _UNSTORABLE as error:
            raise NotStorable(unstorable(given)) from error

    async def all(self, query: Query, /, **given: Any) -> Sequence[Row]:
        try:
            return self._execute(query, given).fetchall()
        except sqlite3.Error as error:
            raise _deliberate(error) from error

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        rows = await self.all(query, **given)
        return rows[0] if rows else None

    async def run(self, query: Query, /, **given: Any) -> int:
        return self._execute(query, given).rowcount

    async def many(self, query: Query, rows: Sequence[dict[str, Any]], /) -> None:
        one, some = query.sqlite, query.sqlite_rows
        arguments, done = one.arguments, 0
        try:
            while some is not None and len(rows) - done >= ROWS_AT_ONCE:
                together = map(arguments, rows[done : done + ROWS_AT_ONCE])
                self._connection.execute(some, list(chain.from_iterable(together)))
                done += ROWS_AT_ONCE
            self._connection.executemany(one.sql, map(arguments, rows[done:]))
        except sqlite3.Error as error:
            raise _deliberate(error) from error
        except _UNSTORABLE as error:
            raise NotStorable(next(filter(None, map(unstorable, rows)), None)) from error


class SQLiteDatabase:
    """See `Database`. Another process may write too (`gateway admin` beside a server): locks are waited for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _deliberate_errors():
            self._writer = connect(path)
            self._resting = _Session(self._writer)
            self._reader = _Session(connect(path))
        self._idle: list[sqlite3.Connection] = []
        self._alone = asyncio.Lock()
        self._flush = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")

    @property
    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @property
    def probes_lists(self) -> bool:
        return True

    async def all(self, query: Query, /, **given: Any) -> Sequence[Row]:
        return await self._nearest().all(query, **given)

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        return await self._nearest().one(query, **given)

    def _nearest(self) -> _Session:
        """The writer, unless a transaction is open in it: nobody else sees what is not committed."""
        busy = self._alone.locked() or self._writer.in_transaction
        return self._reader if busy else self._resting

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """A snapshot on a connection of its own; a few are kept, for a new one first parses the whole schema (3 ms)."""
        with _deliberate_errors():
            connection = self._idle.pop() if self._idle else connect(self._path)
            try:
                connection.execute("BEGIN")
                yield _Session(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if len(self._idle) < KEPT_IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._alone:
            with _deliberate_errors():
                await self._begin()
                try:
                    yield _Session(self._writer)
                    await self._commit()
                finally:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")

    async def _begin(self) -> None:
        deadline = asyncio.get_running_loop().time() + _LOCK_PATIENCE_S
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise DatabaseUnavailable("Another process holds the database.") from error
            await asyncio.sleep(_LOCK_PAUSE_S)

    async def _commit(self) -> None:
        """Wait for the disk: until COMMIT has ended, the writer is the thread's alone."""
        await finished(asyncio.get_running_loop().run_in_executor(self._flush, self._writer.execute, "COMMIT"))

    async def close(self) -> None:
        self._flush.shutdown(wait=True)
        self._writer.close()
        for connection in (self._reader._connection, *self._idle):
            connection.close()

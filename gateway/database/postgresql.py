"""PostgreSQL through asyncpg: production, many processes and nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg

from gateway.database.interface import (
    AlreadyExists,
    CommitUnknown,
    DatabaseUnavailable,
    NotStorable,
    Reading,
    Row,
    TableMissing,
    Transaction,
    longest_text,
    unstorable,
)
from gateway.database.statements import Query
from gateway.finishing import finished

_BROKEN = (TimeoutError, asyncpg.InternalClientError)  # silent, or cut off in the middle of an earlier answer
_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, *_BROKEN)
_REFUSING = (
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.InternalServerError,  # a damaged page or index
    asyncpg.OperatorInterventionError,  # shutting down, statement_timeout
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # deadlock, serialisation
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # as whoever runs the server may limit it, and what follows
    asyncpg.TransactionTimeoutError,
)
_STATEMENT_MS = 5000
_SILENCE_S = 6.0
"""Longer than any statement may take: a server that has said nothing for so long is frozen or cut off."""


@contextmanager
def _deliberate_errors(connection: Any = None, given: Sequence[Mapping[str, Any]] = ()) -> Iterator[None]:
    try:
        yield
    except asyncpg.DataError as error:
        field = next(filter(None, map(unstorable, given)), None)
        if field is None:  # of another kind than its column: the gateway's own fault
            raise
        raise NotStorable(field) from error
    except asyncpg.ProgramLimitExceededError as error:
        field = longest_text(given)
        if field is None:
            raise
        raise NotStorable(field) from error
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists() from error
    except asyncpg.UndefinedTableError as error:
        raise TableMissing() from error
    except _BROKEN as error:
        if connection is not None:
            _close(connection)  # to cancel, roll back or use it again would fail in the same way
        raise DatabaseUnavailable() from error
    except (*_REFUSING, *_LOST) as error:
        raise DatabaseUnavailable() from error


class _Session:
    """One connection, spoken to in `Query`; asyncpg keeps its statements prepared."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def all(self, query: Query, /, **given: Any) -> Sequence[Row]:
        text = query.postgresql
        with _deliberate_errors(self._connection, [given]):
            rows: list[Row] = await self._connection.fetch(text.sql, *text.arguments(given))
        return rows

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        text = query.postgresql
        with _deliberate_errors(self._connection, [given]):
            row: Row | None = await self._connection.fetchrow(text.sql, *text.arguments(given))
        return row

    async def run(self, query: Query, /, **given: Any) -> int:
        text = query.postgresql
        with _deliberate_errors(self._connection, [given]):
            status: str = await self._connection.execute(text.sql, *text.arguments(given))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def many(self, query: Query, rows: Sequence[dict[str, Any]], /) -> None:
        text = query.postgresql
        with _deliberate_errors(self._connection, rows):
            await self._connection.executemany(text.sql, map(text.arguments, rows))


async def _commit(connection: Any, transaction: Any) -> None:
    """Where nothing is answered, the connection is closed: whoever has it next would find what is open in it."""
    try:
        await transaction.commit()
    except _LOST as error:
        _close(connection)
        raise CommitUnknown("The connection was lost around COMMIT.") from error
    except _REFUSING as error:
        raise DatabaseUnavailable() from error


async def _roll_back(connection: Any, transaction: Any) -> None:
    """Nothing of it stays. A connection that cannot say so is closed: what is open in it would be the next caller's."""
    try:
        if not connection.is_closed():
            await finished(transaction.rollback())
    except (asyncpg.PostgresError, *_LOST):
        _close(connection)


def _close(connection: Any) -> None:
    """Nobody speaks over it any more; one that the server has ended already is the pool's again, and refuses this."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _keep_as_it_is(_: Any) -> None:
    """Sessions set nothing, so there is nothing to reset: this saves a round trip per release."""


class PostgreSQLDatabase:
    """See `Database`. Connections are held; `synchronous_commit` is forced on, locks and statements time out."""

    def __init__(self, pool: asyncpg.Pool[Any], version: str) -> None:
        self._pool = pool
        self._version = version

    @classmethod
    async def connect(cls, dsn: str, *, connections: int = 8) -> PostgreSQLDatabase:
        """Connect, or raise `DatabaseUnavailable`."""
        settings = {"synchronous_commit": "on", "lock_timeout": "4000", "statement_timeout": str(_STATEMENT_MS)}
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=connections,
                server_settings=settings,
                reset=_keep_as_it_is,
                timeout=5,
                command_timeout=_SILENCE_S,
            )
            version = await pool.fetchval("SHOW server_version")
        except (asyncpg.PostgresError, *_LOST) as error:  # not the database either, or not the password
            raise DatabaseUnavailable() from error
        return cls(pool, f"PostgreSQL {version.split()[0]}")

    @property
    def version(self) -> str:
        return self._version

    @property
    def probes_lists(self) -> bool:
        return False

    async def all(self, query: Query, /, **given: Any) -> Sequence[Row]:
        async with self._held() as connection:
            return await _Session(connection).all(query, **given)

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        async with self._held() as connection:
            return await _Session(connection).one(query, **given)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        async with self._held() as connection:
            with _deliberate_errors(connection):
                transaction = connection.transaction(isolation="repeatable_read", readonly=True)
                await transaction.start()
            try:
                yield _Session(connection)
            finally:
                await _roll_back(connection, transaction)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._held() as connection:
            with _deliberate_errors(connection):
                transaction = connection.transaction()
                await transaction.start()
            try:
                yield _Session(connection)
            except BaseException:
                await _roll_back(connection, transaction)
                raise
            await finished(_commit(connection, transaction))

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Any]:
        try:
            connection = await self._pool.acquire(timeout=5)
        except (asyncpg.PostgresError, *_LOST) as error:
            raise DatabaseUnavailable() from error
        try:
            yield connection
        finally:
            with suppress(asyncpg.PostgresError, *_LOST):  # it is closed then, and the pool makes another
                await self._pool.release(connection)

    async def close(self) -> None:
        await self._pool.close()

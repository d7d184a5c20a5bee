"""Databases come into being: a connection that the schema may be changed through, on either engine."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError
from sqlalchemy.pool import NullPool

from gateway.database.interface import DatabaseUnavailable
from gateway.errors import Invalid

_SQLITE_PRIMARY = 0xFF
_SQLITE_GONE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
}
_POSTGRESQL_GONE = ("08", "25006", "53", "55P03", "57", "58")
"""Connection lost, read-only, out of resources, lock not granted, shutting down, system error."""
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4716287395502)")


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite:///{path}"


async def change_schema(database_url: str, change: Callable[[Connection], object]) -> None:
    """Run `change` in one transaction: all of it happens, or nothing, and one process at a time.

    `database_url`: `sqlite:///path` or `postgresql://user:password@host:port/name`. Raises `DatabaseUnavailable`
    (down, refusing, lost, locked: nothing has changed) and `Invalid` for an address that is none.
    """
    try:
        if database_url.startswith("sqlite:"):
            await asyncio.to_thread(_change_sqlite, database_url, change)
        else:
            await _change_postgresql(database_url, change)
    except DBAPIError as error:
        if not _gone(error):
            raise
        raise DatabaseUnavailable() from error


def _gone(error: DBAPIError) -> bool:
    """Whether the database, and not the change, is at fault."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & _SQLITE_PRIMARY in _SQLITE_GONE
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or isinstance(error, InterfaceError) or state.startswith(_POSTGRESQL_GONE)


def _change_sqlite(database_url: str, change: Callable[[Connection], object]) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _alone)
    with engine.begin() as connection:
        change(connection)


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    """Python's driver would commit before each CREATE; SQLite itself can roll them back."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


def _alone(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _change_postgresql(database_url: str, change: Callable[[Connection], object]) -> None:
    import asyncpg  # noqa: PLC0415 - as below
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - a server never needs it

    address = "postgresql+asyncpg://" + database_url.split("://", 1)[1]
    try:
        engine = create_async_engine(address, poolclass=NullPool)
    except (ArgumentError, ValueError):  # its message may quote the password
        raise Invalid("invalid_database_url", "That is no address.", field="GATEWAY_DATABASE_URL") from None
    try:
        async with engine.begin() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            await connection.run_sync(change)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # while connecting
        raise DatabaseUnavailable() from error
    finally:
        await engine.dispose()

"""Databases come into being: a connection that the schema may be changed through, on either engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from gateway.database.statements import metadata

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4716287395502)")


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite:///{path}"


async def create_schema(database_url: str) -> None:
    """Create every table, index and trigger known to `metadata` in an empty database, in one transaction."""
    await change_schema(database_url, metadata.create_all)


async def change_schema(database_url: str, change: Callable[[Connection], object]) -> None:
    """Run `change` in one transaction: all of it happens, or nothing, and one process at a time.

    `database_url`: `sqlite:///path` or `postgresql://user:password@host:port/name`.
    """
    if database_url.startswith("sqlite:"):
        await asyncio.to_thread(_change_sqlite, database_url, change)
    else:
        await _change_postgresql(database_url, change)


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
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - a server never needs it

    address = "postgresql+asyncpg://" + database_url.split("://", 1)[1]
    engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            await connection.run_sync(change)
    finally:
        await engine.dispose()

"""The schema's history. `upgrade` brings any database to this version's schema; Alembic keeps the place.

Alembic is imported where it is used: a server only compares revisions, and starts in half the time without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, Table, Text, select

from gateway.database import Database, Query, TableMissing
from gateway.database.creation import change_schema

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["NEWEST", "configuration", "current", "upgrade"]

NEWEST = "0021"
"""The revision that this version of the gateway was written for."""

_version = Table("alembic_version", MetaData(), Column("version_num", Text))
_CURRENT = Query(select(_version.c.version_num))


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for these migrations, running on `connection`."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def upgrade(database_url: str) -> None:
    """Bring a database, empty or older, to the newest revision in one transaction; a newest one stays as it is.

    Two processes may call this at once: the second waits and finds nothing to do.
    """
    from alembic import command  # noqa: PLC0415

    await change_schema(database_url, lambda connection: command.upgrade(configuration(connection), "head"))


async def current(database: Database) -> str | None:
    """The revision that an open database is at, None before the first."""
    try:
        row = await database.one(_CURRENT)
    except TableMissing:
        return None
    return None if row is None else str(row["version_num"])

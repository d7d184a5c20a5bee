"""The schema's history. `upgrade` brings any database to this version's schema; Alembic keeps the place."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.database.creation import change_schema

__all__ = ["configuration", "current", "newest", "upgrade"]


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for these migrations, running on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def upgrade(database_url: str) -> None:
    """Bring a database, empty or older, to the newest revision in one transaction; a newest one stays as it is.

    Two processes may call this at once: the second waits and finds nothing to do.
    """
    await change_schema(database_url, lambda connection: command.upgrade(configuration(connection), "head"))


async def current(database_url: str) -> str | None:
    """The revision that a database is at, None before the first."""
    found: list[str | None] = []
    await change_schema(
        database_url, lambda connection: found.append(MigrationContext.configure(connection).get_current_revision())
    )
    return found[0]


def newest() -> str | None:
    """The revision that this version of the gateway was written for, None before there is one."""
    return ScriptDirectory.from_config(configuration()).get_current_head()

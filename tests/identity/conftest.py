from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gateway.database import Database, metadata
from gateway.database.sqlite import SQLiteDatabase
from gateway.identity.tables import client, client_key, resource_server, revoked_token, spent_assertion
from gateway.members.tables import alliance, member
from tests.identity.world import World, build_world


@pytest.fixture
async def identity_database(tmp_path: Path) -> AsyncIterator[Database]:
    """A SQLite file with no more tables than identity needs."""
    path = tmp_path / "identity.db"
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    tables = [alliance, member, client, client_key, spent_assertion, revoked_token, resource_server]
    metadata.create_all(engine, tables=tables)
    database = SQLiteDatabase(path)
    yield database
    await database.close()


@pytest.fixture
async def world(identity_database: Database) -> World:
    """Identity on SQLite."""
    return await build_world(identity_database)


@pytest.fixture
async def each_world(database: Database) -> World:
    """Identity, once on each engine."""
    return await build_world(database)

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import Database
from tests.agreements.world import World


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """The small alliance, on each engine."""
    built = await World(database).build()
    yield built
    await built.ledger.close()


@pytest.fixture
async def sqlite_world(sqlite_database: Database) -> AsyncIterator[World]:
    """The small alliance on SQLite, where the engine makes no difference."""
    built = await World(sqlite_database).build()
    yield built
    await built.ledger.close()

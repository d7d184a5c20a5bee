from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import Database
from tests.duties.world import DutyWorld


@pytest.fixture
async def world(database: Database) -> AsyncIterator[DutyWorld]:
    """The small alliance with duties, on each engine."""
    built = DutyWorld(database)
    await built.build()
    yield built
    await built.ledger.close()


@pytest.fixture
async def sqlite_world(sqlite_database: Database) -> AsyncIterator[DutyWorld]:
    """The same on SQLite, where the engine makes no difference."""
    built = DutyWorld(sqlite_database)
    await built.build()
    yield built
    await built.ledger.close()

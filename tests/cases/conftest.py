from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import Database
from tests.cases.world import CaseWorld


@pytest.fixture
async def world(database: Database) -> AsyncIterator[CaseWorld]:
    """The small alliance with cases, on each engine."""
    built = CaseWorld(database)
    await built.build()
    yield built
    await built.ledger.close()


@pytest.fixture
async def sqlite_world(sqlite_database: Database) -> AsyncIterator[CaseWorld]:
    """The same on SQLite, where the engine makes no difference."""
    built = CaseWorld(sqlite_database)
    await built.build()
    yield built
    await built.ledger.close()

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import Database
from tests.approvals.world import World


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """Approvals, once on each engine."""
    built = await World(database).found()
    yield built
    await built.ledger.close()

"""One alliance for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.world import shared_on
from tests.overlap.world import Counted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def composed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counted]:
    """On SQLite."""
    async with shared_on(request, tmp_path_factory.mktemp("overlap"), "sqlite") as shared:
        yield Counted(shared)


@pytest.fixture
def world(composed: Counted) -> Counted:
    """With the whole budget of a month."""
    composed.next_month()
    return composed

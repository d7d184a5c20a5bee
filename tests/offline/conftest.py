"""One gateway for the package; each module of tests has customers of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.world import Shared, shared_on
from tests.offline.world import Desk


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """On SQLite."""
    async with shared_on(request, tmp_path_factory.mktemp("offline"), "sqlite") as alliance:
        yield alliance


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def desk(shared: Shared) -> Desk:
    """Sixty customers of the bank, for the hotel."""
    return await Desk.of(shared)

"""One gateway for the package; each module of tests has customers of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.world import Shared, shared_on
from tests.rights.world import Counter


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """On SQLite."""
    async with shared_on(request, tmp_path_factory.mktemp("rights"), "sqlite") as alliance:
        yield alliance


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def counter(shared: Shared) -> Counter:
    """A hundred customers of the bank."""
    return await Counter.of(shared)

"""One alliance for every module here, on SQLite; what the two databases could answer differently has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.world import Shared, shared_on
from tests.referrals.world import Referring, referring


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path_factory.mktemp("shared"), "sqlite") as alliance:
        yield alliance


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(shared: Shared) -> Referring:
    return await referring(shared, shared.bank, range(1, 60))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def airline(shared: Shared) -> Referring:
    return await referring(shared, shared.stranger, range(1, 60))

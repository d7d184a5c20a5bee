"""One alliance for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bundles.world import Offering, offering


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Offering]:
    """Where a test gives a consent or turns a switch, it puts it back."""
    async with offering(request, tmp_path_factory.mktemp("bundles")) as found:
        yield found

"""One alliance for the whole package; each test asks customers of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.consents.asking.world import World, opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("asking")) as world:
        yield world


@pytest.fixture
def world(shared_world: World) -> World:
    """With a box that takes everything, and nothing in it yet."""
    shared_world.box.deaf = shared_world.box.lost = False
    shared_world.box.messages.clear()
    shared_world.clock.pass_seconds(120)
    return shared_world

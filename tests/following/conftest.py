from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.following.world import Followed, followed_on


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Followed]:
    async with followed_on(request, tmp_path_factory.mktemp("following"), "sqlite") as followed:
        yield followed


@pytest.fixture
def followed(world: Followed) -> Followed:
    """With an empty inbox that takes everything."""
    world.inbox.received.clear()
    world.inbox.deaf = False
    return world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_one(world: Followed) -> str:
    """A follow-up that nobody has answered."""
    deal = await world.received(20)
    [row] = await world.of_consent(await world.withdraw(deal, 20))
    return str(row["id"])

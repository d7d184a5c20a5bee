from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.access.world import MovableClock, Shared
from tests.agreements.conftest import sqlite_world, world
from tests.alliance import founded

__all__ = ["sqlite_world", "world"]


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    """An alliance with a bank, a hotel and a stranger, and the clock that all of it goes by."""
    clock = MovableClock()
    async with founded(tmp_path, clock) as alliance:
        yield Shared(alliance, clock)

"""An alliance of a bank, a hotel and a stranger, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.access.world import Shared, shared_on


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    """On SQLite; the statements run on PostgreSQL too in `test_circumstances.py` and `tests/clauses`."""
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance

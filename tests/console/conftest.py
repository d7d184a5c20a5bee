from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.console.visitors import other, quiet, visitor
from tests.console.world import Console, console
from tests.services.chromium import Person, binary, chromium, person
from tests.services.or_skip import or_skip

__all__ = ["browser", "other", "quiet", "served", "someone", "visitor"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Console]:
    """A console on a loopback port."""
    async with console(tmp_path) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    or_skip(binary)
    async with chromium() as running:
        yield running


@pytest.fixture
async def someone(browser: Browser) -> Person:
    """A person with a passkey in their browser."""
    return await person(browser)

"""Fixtures: a console on no port, and two visitors of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.access.world import database_settings
from tests.console.visitor import Visitor
from tests.console.world import Console, quiet_console


@pytest.fixture
async def quiet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Console, FastAPI]]:
    """A console in this process, and its application; on SQLite, or on the engine that it is parametrised with."""
    engine = getattr(request, "param", "sqlite")
    async with database_settings(request, engine) as settings, quiet_console(tmp_path, **settings) as made:
        yield made


async def _visitor(console: Console, app: FastAPI) -> AsyncIterator[Visitor]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=console.origin) as http:
        yield Visitor(console, http)


@pytest.fixture
async def visitor(quiet: tuple[Console, FastAPI]) -> AsyncIterator[Visitor]:
    """Somebody at the console."""
    async for made in _visitor(*quiet):
        yield made


@pytest.fixture
async def other(quiet: tuple[Console, FastAPI]) -> AsyncIterator[Visitor]:
    """Somebody else at the same console."""
    async for made in _visitor(*quiet):
        yield made

"""The sweeper beside requests: it outlives every error, and the server outlives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import background
from gateway import web as module
from gateway.app import Gateway
from gateway.catalog.uploads import Uploads
from tests.alliance import founded

_PERSONAL = "phone 13800138000 of 张三"


class _Sweeps(Uploads):
    """Uploads whose first sweep fails as nobody foresaw, and whose later ones take long to end."""

    def __init__(self) -> None:
        self.starts: list[bool] = []
        self.ended = False
        self.again = asyncio.Event()

    async def sweep(self, *, starting: bool = False) -> int:
        self.starts.append(starting)
        if len(self.starts) == 1:
            raise ValueError(_PERSONAL)
        self.again.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            self.ended = True
        return 0


@asynccontextmanager
async def _living(gateway: Gateway, sweeps: _Sweeps) -> AsyncIterator[None]:
    app = module.web(replace(gateway, uploads=sweeps))
    async with app.router.lifespan_context(app):
        yield


async def test_the_sweeper_survives_any_error_and_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    all_works = background.works
    monkeypatch.setattr(background, "works", lambda of: [one._replace(pause_s=0) for one in all_works(of)[:1]])
    sweeps = _Sweeps()
    async with founded(tmp_path) as alliance:
        with caplog.at_level(logging.ERROR):
            async with _living(alliance.gateway, sweeps):
                await asyncio.wait_for(sweeps.again.wait(), 5)
        assert sweeps.ended, "the database is closed only after the sweeper has let go of it"
    assert sweeps.starts == [True, True], "what the first sweep was to do is still to be done"
    assert "unexpected ValueError while sweeping" in caplog.text
    assert _PERSONAL not in caplog.text

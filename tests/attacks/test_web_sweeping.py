"""The sweeper beside requests: it outlives every error, and the server outlives it."""

from __future__ import annotations

import asyncio
import json
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
from tests.access.world import PLACES
from tests.alliance import MARKET_SCHEMA, founded

_PERSONAL = "phone 13800138000 of 张三"


class _Sweeps(Uploads):
    """Uploads whose first sweep fails as nobody foresaw, and whose later ones take long to end."""

    def __init__(self) -> None:
        self.since: list[int] = []
        self.ended = False
        self.again = asyncio.Event()

    async def sweep(self, *, alone_since: int = 0, **_: object) -> int:
        self.since.append(alone_since)
        if len(self.since) == 1:
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


async def test_a_late_first_sweep_leaves_uploads_alone_that_began_since_the_start(tmp_path: Path) -> None:
    async with founded(tmp_path) as alliance:
        [sweeping, *_] = background.works(alliance.gateway)
        bank = alliance.members["bank"]
        dataset = await bank.declare(MARKET_SCHEMA)

        async def body() -> AsyncIterator[bytes]:
            yield json.dumps(PLACES[0]).encode() + b"\n"
            for step in sweeping.steps:
                await step()
            yield json.dumps(PLACES[1]).encode() + b"\n"

        uploaded = await bank.call(
            "POST", f"/v1/datasets/{dataset}/uploads", await bank.token(), content=body(),
            headers={"Content-Type": "application/x-ndjson"},
        )  # fmt: skip
        assert uploaded.status_code == 201, uploaded.text


async def test_the_sweeper_survives_any_error_and_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    all_works = background.works
    monkeypatch.setattr(background, "works", lambda of: [one._replace(pause_s=0) for one in all_works(of)[:1]])
    sweeps = _Sweeps()
    async with founded(tmp_path) as alliance:
        before = alliance.gateway.clock()
        with caplog.at_level(logging.ERROR):
            async with _living(alliance.gateway, sweeps):
                await asyncio.wait_for(sweeps.again.wait(), 30)
        assert sweeps.ended, "the database is closed only after the sweeper has let go of it"
    first, second = sweeps.since
    assert before <= first == second, "what the first sweep was to do is still to be done, and no more"
    assert "unexpected ValueError while sweeping" in caplog.text
    assert _PERSONAL not in caplog.text


async def test_a_step_that_makes_something_else_of_its_cancellation_ends_all_the_same() -> None:
    """As a database does that does not answer: the server would never stop."""
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TimeoutError from None

    working = asyncio.create_task(background._for_ever(background.Work("waiting", 0, (step,))))
    await begun.wait()
    working.cancel()
    done, _ = await asyncio.wait([working], timeout=30)
    assert done

"""One thing at a time for each name, and no name waits for another."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.lanes import Lanes

_PERSONAL = "13800138000"


async def test_a_slow_one_keeps_nobody_else_waiting_and_is_stopped_at_the_end() -> None:
    lanes, done = Lanes("telling"), list[str]()

    async def work(name: str, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        done.append(name)

    lanes.begin("deaf", work("deaf", 60))
    lanes.begin("quick", work("quick", 0))
    while "quick" in lanes:
        await asyncio.sleep(0)
    assert (done, "deaf" in lanes, len(lanes)) == (["quick"], True, 1)
    await lanes.close()
    assert (done, len(lanes)) == (["quick"], 0)


async def test_what_fails_frees_its_lane_and_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    lanes = Lanes("telling")

    async def fail() -> None:
        raise ValueError(_PERSONAL)

    with caplog.at_level(logging.ERROR):
        lanes.begin("one", fail())
        await lanes.wait()
        await asyncio.sleep(0)
    assert "one" not in lanes
    assert "unexpected ValueError while telling" in caplog.text
    assert _PERSONAL not in caplog.text

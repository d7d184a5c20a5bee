from __future__ import annotations

import asyncio
from threading import Event

import pytest

from gateway.errors import Conflicting
from gateway.finishing import finished


async def test_what_is_finished_gives_its_outcome() -> None:
    async def fail() -> None:
        raise Conflicting("moved", "It was moved meanwhile.")

    assert await finished(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(Conflicting):
        await finished(fail())


@pytest.mark.parametrize("times", [1, 2, 50])
async def test_whoever_is_cancelled_meanwhile_ends_when_it_has_ended_however_often(times: int) -> None:
    done, released = [], Event()

    def work() -> None:
        assert released.wait(30)
        done.append(True)

    waiting = asyncio.create_task(finished(asyncio.to_thread(work)))
    for _ in range(times):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0.05)
    assert not waiting.done()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == [True]


async def test_the_cancellation_follows_even_what_fails() -> None:
    released = asyncio.Event()

    async def fail() -> None:
        await released.wait()
        raise ZeroDivisionError

    waiting = asyncio.create_task(finished(fail()))
    await asyncio.sleep(0)
    waiting.cancel()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting

"""Requests that wait at the same stage go through it one after the other."""

from __future__ import annotations

import asyncio


async def abreast() -> None:
    """Let the requests that are at an earlier stage catch up, those that can run now.

    Like work in a row costs less than the same work in turns: signatures, SQL and the interpreter push each other's
    code out of the processor's caches. A read of one record takes a quarter less so, with batches of entries that
    wait (`bench/README.md`). It costs a turn of the event loop, and like every `await` it lets things change: what
    must still hold is asked again later.
    """
    await asyncio.sleep(0)

"""Requests that wait at the same stage go through it one after the other, and ask the same question once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Answer = TypeVar("_Answer")


async def abreast() -> None:
    """Let the requests that are at an earlier stage catch up, those that can run now.

    Like work in a row costs less than the same work in turns: signatures, SQL and the interpreter push each other's
    code out of the processor's caches. A read of one record takes a quarter less so, with batches of entries that
    wait (`bench/README.md`). It costs a turn of the event loop, and like every `await` it lets things change: what
    must still hold is asked again later.
    """
    await asyncio.sleep(0)


class AskedTogether(Generic[_Key, _Answer]):
    """One look at what several requests ask at the same time.

    Whoever asks joins a look that has not begun, never one that has: an answer is no older than its question. A look
    that fails fails for all who joined it; one who goes away takes nothing from the others.
    """

    def __init__(self, look: Callable[[_Key], Awaitable[_Answer]]) -> None:
        self._look = look
        self._to_begin: dict[_Key, asyncio.Task[_Answer]] = {}

    async def ask(self, key: _Key) -> _Answer:
        """What `look` finds for this key; it begins in the next turn of the event loop."""
        joined = self._to_begin.get(key)
        if joined is None or joined.done():  # done and not begun: cancelled, as with its loop
            joined = self._to_begin[key] = asyncio.create_task(self._begin(key))
        return await asyncio.shield(joined)

    async def _begin(self, key: _Key) -> _Answer:
        del self._to_begin[key]
        return await self._look(key)

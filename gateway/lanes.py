"""Work for many at once, for each of them one thing at a time; whoever is slow keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from gateway.problems import log_unexpected


class Lanes:
    """A task for each name at most. What nobody foresaw is logged as `while {doing}`, and frees the lane."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._busy: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many are busy."""
        return len(self._busy)

    def __contains__(self, name: str) -> bool:
        """Whether this one is."""
        return name in self._busy

    def begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Begin what nobody is doing for this name yet."""
        task = asyncio.create_task(work, name=name)
        self._busy[name] = task
        task.add_done_callback(self._done)

    async def wait(self) -> None:
        """Until all that has begun has ended."""
        await asyncio.wait(set(self._busy.values()))

    async def close(self) -> None:
        """Stop all of it."""
        busy = list(self._busy.values())
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task.get_name(), None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log_unexpected(error, f"while {self._doing}")

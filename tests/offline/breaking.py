"""What happens in the midst of an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from tests.offline.world import Desk


class Before:
    """A ledger on which something else happens first, before the change of a number."""

    def __init__(self, ledger: Any, number: int, happens: Callable[[], Awaitable[object]]) -> None:
        self._ledger = ledger
        self._left = number
        self._happens = happens

    @asynccontextmanager
    async def changing(self, *logs: str, **more: Any) -> AsyncIterator[Any]:
        self._left -= 1
        if self._left == 0:
            await self._happens()
        async with self._ledger.changing(*logs, **more) as change:
            yield change


@contextmanager
def before_change(desk: Desk, number: int, happens: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Before an import's change of that number: the first begins it, others write rows, the last closes it."""
    batches: Any = desk.offline.batches
    real, batches._ledger = batches._ledger, Before(batches._ledger, number, happens)
    try:
        yield
    finally:
        batches._ledger = real


async def die() -> None:
    """The process is gone."""
    raise RuntimeError("stopped")

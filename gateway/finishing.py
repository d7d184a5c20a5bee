"""What may not be left half-way: whoever is cancelled meanwhile ends when it has ended, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def finished(work: Awaitable[_T]) -> _T:
    """The outcome of `work`, waited for however often the caller is cancelled; the cancellation follows it."""
    under_way = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        while not under_way.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([under_way])
        if not under_way.cancelled():
            under_way.exception()  # seen, for nobody is left to tell
        raise

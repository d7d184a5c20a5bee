"""Giving memory back to the system after work that needed much of it for a while."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Let glibc return what is free: of its own it keeps 50 MiB after a large upload. Elsewhere this does nothing."""
    if _TRIM is not None:
        _TRIM(0)


@asynccontextmanager
async def given_back() -> AsyncIterator[None]:
    """Give memory back, in a worker thread, when the block ends; nobody waits for it."""
    try:
        yield
    finally:
        asyncio.get_running_loop().run_in_executor(None, give_back)

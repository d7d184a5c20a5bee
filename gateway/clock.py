"""The one clock. It is injected, so that tests can move it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the instant as integer milliseconds since the epoch, UTC."""

MILLISECONDS = 1000


def system_clock() -> int:
    """Milliseconds since the epoch by this machine's clock."""
    return time.time_ns() // 1_000_000


def seconds(milliseconds: int) -> int:
    """Whole seconds since the epoch, as policy input, tokens and consents use them."""
    return milliseconds // MILLISECONDS

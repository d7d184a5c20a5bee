"""A circuit breaker that closes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_FAILURES_TO_OPEN: Final = 5
_REST_S: Final = 1.0


class Breaker:
    """After five failures in a row lets nothing through but one trial a second, until one succeeds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._closed_again_at = 0.0

    def admits(self) -> bool:
        """Whether to try now. While open, at most one caller a second is told yes."""
        if self._failures < _FAILURES_TO_OPEN:
            return True
        now = self._monotonic()
        if now < self._closed_again_at:
            return False
        self._closed_again_at = now + _REST_S
        return True

    def succeeded(self) -> None:
        """An admitted attempt was answered."""
        self._failures = 0

    def failed(self) -> None:
        """An admitted attempt was not answered."""
        self._failures += 1
        self._closed_again_at = self._monotonic() + _REST_S

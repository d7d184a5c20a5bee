"""What strangers tried, in a fixed-size memory: no flood of bad requests can fill a disk or the ledger.

Whoever runs the host reads of it on standard error, a line a minute at most. No member's operator does: strangers
are of no alliance, and whom they claim to be may be of another.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock

_MINUTE_MS: Final = 60_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One failed attempt. `client` is the client that was claimed, known or '' (never proven)."""

    time_ms: int
    code: str
    client: str


class SecurityLog:
    """The latest events and a count per code; codes are the gateway's own, so the counts are bounded too."""

    def __init__(self, clock: Clock, capacity: int = 1024) -> None:
        self._clock = clock
        self._events: deque[SecurityEvent] = deque(maxlen=capacity)
        self._counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def note(self, code: str, *, client: str = "") -> None:
        """Remember one event; the oldest makes room."""
        self._events.append(SecurityEvent(self._clock(), code, client))
        self._counts[code] += 1

    def recent(self) -> tuple[SecurityEvent, ...]:
        """The events still remembered, oldest first."""
        return tuple(self._events)

    def counts(self) -> dict[str, int]:
        """How often each code occurred since the start, forgotten events included."""
        return dict(self._counts)

    async def tell(self) -> None:
        """Log in one line how often each code occurred since this was last called; nothing where none did."""
        since = self._counts - self._told
        self._told = self._counts.copy()
        if since:
            _log.warning("attempts refused: %s", ", ".join(f"{code} {times}" for code, times in since.most_common()))


class OnceAMinute:
    """Lets the same thing pass once a minute, so that nobody can flood the ledger with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._passed: set[tuple[str, ...]] = set()

    def passes(self, *named: str) -> bool:
        """True for the first of this name in the minute."""
        minute = self._clock() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._passed = minute, set()
        if named in self._passed:
            return False
        self._passed.add(named)
        return True

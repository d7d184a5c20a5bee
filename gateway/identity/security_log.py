"""What strangers tried, counted: no flood of bad requests can fill a disk, the memory or the ledger.

Whoever runs the host reads of it on standard error, a line a minute at most. No member's operator does: strangers
are of no alliance, and whom they claim to be may be of another.
"""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice
from typing import Final

from gateway.clock import Clock

_MINUTE_MS: Final = 60_000
_MOST_NAMED: Final = 3
_log = logging.getLogger(__name__)


class SecurityLog:
    """How often each code occurred since the start, by the registered client that was claimed.

    Codes are the gateway's own and clients are registered: no stranger can make the counts many.
    """

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, str]] = Counter()
        """By code and client; '' where no registered client was claimed."""
        self._told: Counter[tuple[str, str]] = Counter()

    def note(self, code: str, *, client: str = "") -> None:
        """Count one attempt. The client is a registered one, proven or not."""
        self.attempts[code, client] += 1

    async def tell(self) -> None:
        """Log in one line what occurred since this was last called; nothing where nothing did."""
        since = self.attempts - self._told
        self._told = self.attempts.copy()
        if since:
            codes = by_code(since)
            _log.warning("attempts refused: %s", ", ".join(_line(code, codes[code], since) for code in codes))


def by_code(attempts: Counter[tuple[str, str]]) -> dict[str, int]:
    """How often each code occurred, the most frequent first."""
    codes: Counter[str] = Counter()
    for (code, _), times in attempts.items():
        codes[code] += times
    return dict(codes.most_common())


def _line(code: str, times: int, attempts: Counter[tuple[str, str]]) -> str:
    clients = (f"client {client} {of}" for (one, client), of in attempts.most_common() if one == code and client)
    named = ", ".join(islice(clients, _MOST_NAMED))
    return f"{code} {times} ({named})" if named else f"{code} {times}"


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

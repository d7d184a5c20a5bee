"""How often one address may try. A full count stops that address alone; nobody else is locked out."""

from __future__ import annotations

from collections import OrderedDict, deque

from gateway.clock import Clock
from gateway.errors import TooManyAttempts
from gateway.identity.proxy import network_of


class Attempts:
    """At most `limit` attempts of one address within `window_ms`; remembers the `capacity` addresses seen last.

    Counted by `network_of` the address, in each process by itself.
    """

    def __init__(self, clock: Clock, *, limit: int = 30, window_ms: int = 300_000, capacity: int = 4096) -> None:
        self._clock = clock
        self._limit = limit
        self._window_ms = window_ms
        self._capacity = capacity
        self._tries: OrderedDict[str, deque[int]] = OrderedDict()

    def count(self, address: str) -> None:
        """Count one attempt, or raise `TooManyAttempts`: a refused attempt is not counted again."""
        now, name = self._clock(), network_of(address)
        tries = self._tries.pop(name, None) or deque(maxlen=self._limit)
        self._tries[name] = tries
        if len(self._tries) > self._capacity:
            self._tries.popitem(last=False)
        if len(tries) == self._limit and tries[0] > now - self._window_ms:
            raise TooManyAttempts(
                "too_many_attempts", "Too many attempts from this address.", remedy="Wait a few minutes."
            )
        tries.append(now)

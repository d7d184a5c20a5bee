"""Floods of token requests: bounded per client and per stranger, so that neither stops anybody else.

Three token buckets in this process's memory, of a fixed number of keys each:

- *clients*: what an authenticated client had served. Only who spends a fresh assertion draws from it, so a captured
  one cannot use a client's allowance up.
- *attempts*: requests that name a client, from one address, and have spent nothing (yet). It bounds signatures and
  look-ups per claimed client without a say for other addresses; what is served is given back.
- *strangers*: failures before a client was proven, per address. An address that is over it gets no answer but 429,
  except to clients that proved themselves from there within the hour.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import Final

from gateway.clock import MILLISECONDS, Clock
from gateway.errors import Invalid
from gateway.identity.proxy import network_of
from gateway.identity.refusals import TokenRefused

_KEYS: Final = 65_536
_PROVEN_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    per_second: int
    burst: int

    def __post_init__(self) -> None:
        if self.per_second < 1 or self.burst < 1:
            raise Invalid("invalid_rate", "A rate and its burst are at least 1.", field="rate")


@dataclass(frozen=True, slots=True)
class Rates:
    """What one process allows: to each client, and to the strangers of each address."""

    client: Rate = Rate(50, 500)
    stranger: Rate = Rate(10, 200)


USUAL_RATES: Final = Rates()


class Buckets:
    """One bucket per key, each kept as the instant at which it is full again.

    With more keys than fit, the one touched longest ago is forgotten: memory and the time to make room are bounded,
    and a limit may open, never lock.
    """

    def __init__(self, rate: Rate, clock: Clock, keys: int = _KEYS) -> None:
        self._interval = MILLISECONDS / rate.per_second
        self._slack = self._interval * (rate.burst - 1)
        self._clock = clock
        self._keys = keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str) -> int:
        """0 if there is one to take, else the whole seconds until there is."""
        short = self._due(key) - self._clock() - self._slack
        return max(0, ceil(short / MILLISECONDS))

    def take(self, key: str) -> None:
        """Take one, also from an empty bucket; it never owes more than one burst."""
        self._full_at[key] = self._due(key) + self._interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._keys:
            self._full_at.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Undo one `take`."""
        if key in self._full_at:
            self._full_at[key] -= self._interval

    def _due(self, key: str) -> float:
        now = self._clock()
        return min(max(self._full_at.get(key, now), now), now + self._slack + self._interval)


class Floods:
    """See the module. One instance per process."""

    def __init__(self, rates: Rates, clock: Clock) -> None:
        self._clock = clock
        self._clients = Buckets(rates.client, clock)
        self._attempts = Buckets(rates.client, clock)
        self._strangers = Buckets(rates.stranger, clock)
        self._proven: OrderedDict[str, int] = OrderedDict()

    def attempt(self, address: str, client: str) -> None:
        """Before anything is looked up or verified for a claimed client; `TokenRefused` with the time to wait."""
        name, site = f"{network_of(address)} {client}", network_of(address)
        wait = self._attempts.wait(name)
        if not wait and not self._was_proven(name):
            wait = self._strangers.wait(site)
        if wait:
            raise _refused("FLOOD_OF_STRANGERS", wait)
        self._attempts.take(name)

    def failed(self, address: str) -> None:
        """Somebody at this address proved to be nobody."""
        self._strangers.take(network_of(address))

    def proven(self, address: str, client: str) -> None:
        """The client proved itself from this address."""
        name = f"{network_of(address)} {client}"
        self._proven[name] = self._clock()
        self._proven.move_to_end(name)
        if len(self._proven) > _KEYS:
            self._proven.popitem(last=False)

    def allow(self, client: str) -> None:
        """Take one of the client's share before its assertion is spent; `TokenRefused` where it had it all."""
        wait = self._clients.wait(client)
        if wait:
            raise _refused("FLOOD_OF_CLIENT", wait)
        self._clients.take(client)

    def disallow(self, client: str) -> None:
        """It was no fresh assertion: somebody else may have sent it, and the client keeps its share."""
        self._clients.give_back(client)

    def served(self, address: str, client: str) -> None:
        """The client spent what nobody else could have, so its attempt was none."""
        self._attempts.give_back(f"{network_of(address)} {client}")

    def _was_proven(self, name: str) -> bool:
        return self._clock() - self._proven.get(name, -_PROVEN_MS) < _PROVEN_MS


def _refused(code: str, wait: int) -> TokenRefused:
    return TokenRefused("temporarily_unavailable", code, retry_after=wait)

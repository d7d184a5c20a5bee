"""Sampling plans, as data: how many rows of a batch are looked at, and how many bad ones it may have among them.

A plan states a share of bad rows and a confidence. Its sample is the smallest for which a batch with that share of bad
rows is accepted with a probability of at most one minus the confidence: exactly, by the hypergeometric distribution,
because rows are drawn without replacement. With acceptance number 0, one bad row rejects the whole batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import comb
from typing import Final

from gateway.errors import Invalid

_MILLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of `plans.json`, by its name."""

    name: str
    confidence_per_mille: int
    bad_per_mille: int
    acceptance: int

    def sample_of(self, size: int) -> int:
        """How many of `size` rows are looked at; all of them where fewer would not do."""
        bad = max(self.acceptance + 1, -(-size * self.bad_per_mille // _MILLE))
        high = 1
        while high < size and not self._passes(size, bad, high):
            high = min(2 * high, size)
        low = high // 2 + 1
        while low < high:
            middle = (low + high) // 2
            if self._passes(size, bad, middle):
                high = middle
            else:
                low = middle + 1
        return high

    def _passes(self, size: int, bad: int, sample: int) -> bool:
        """Whether a batch with so many bad rows is accepted seldom enough by a sample of this size."""
        ways = sum(comb(bad, one) * comb(size - bad, sample - one) for one in range(min(self.acceptance, sample) + 1))
        return ways * _MILLE <= comb(size, sample) * (_MILLE - self.confidence_per_mille)

    def describe(self) -> dict[str, int | str]:
        """As entries and reports name it."""
        return {
            "name": self.name,
            "confidence_per_mille": self.confidence_per_mille,
            "bad_per_mille": self.bad_per_mille,
            "acceptance": self.acceptance,
        }


@cache
def plans() -> Mapping[str, Plan]:
    """Every published plan by its name."""
    known = json.loads(files("gateway.consents.offline").joinpath("plans.json").read_text(encoding="utf-8"))
    return {name: Plan(name, **of) for name, of in known.items()}


def plan_of(name: object) -> Plan:
    """A published plan, or `Invalid`."""
    if not isinstance(name, str) or name not in plans():
        raise Invalid("unknown_plan", f"The plans are {', '.join(plans())}.", field="plan")
    return plans()[name]


def drawn(seed: str, rows: Sequence[int], count: int) -> list[int]:
    """The `count` rows that a seed draws: those with the smallest SHA-256 of `seed:row`. Whoever knows it, redraws."""
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row}".encode()).digest())
    return sorted(ranked[:count])

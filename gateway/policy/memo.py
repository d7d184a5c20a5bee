"""Answers remembered exactly as long as they hold."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.policy.model import Decision


@dataclass(frozen=True, slots=True)
class _Remembered:
    decision: Decision
    decided_at: int


class Memo:
    """The last `capacity` answers by what was asked.

    A decision is a pure function of its case, and changes with `now` at `valid_until` at the earliest; so an
    answer given at `decided_at` is the answer for every `now` with `decided_at <= now < valid_until`.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._answers: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def recall(self, key: bytes, now: int) -> Decision | None:
        """The answer to `key` at `now`, if it is known."""
        remembered = self._answers.get(key)
        if remembered is None or not remembered.decided_at <= now < remembered.decision.valid_until:
            return None
        self._answers.move_to_end(key)
        return remembered.decision

    def remember(self, key: bytes, now: int, decision: Decision) -> None:
        """Keep an answer that holds longer than the instant it was given at; forget the one unused longest."""
        if decision.valid_until <= now or self._capacity == 0:
            return
        self._answers[key] = _Remembered(decision, now)
        self._answers.move_to_end(key)
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

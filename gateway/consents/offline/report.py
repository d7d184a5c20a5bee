"""What became of a batch, row by row, without a single value of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from gateway.consents.offline.reasons import REASONS, RefusedRow

MOST_REFUSALS: Final = 1000


class Report:
    """Counts every row, keeps the first thousand refusals by line."""

    def __init__(self) -> None:
        self.accepted = 0
        self._refused: list[RefusedRow] = []

    @property
    def refused(self) -> int:
        """How many rows stay out."""
        return len(self._refused)

    def refuse(self, rows: Iterable[RefusedRow]) -> None:
        """Add rows that stay out."""
        self._refused.extend(rows)

    def as_json(self) -> dict[str, Any]:
        """Counts by code, and the first refusals with line, column, code and message."""
        first = sorted(self._refused)[:MOST_REFUSALS]
        return {
            "accepted": self.accepted,
            "refused": self.refused,
            "refused_by_code": dict(sorted(Counter(row.code for row in self._refused).items())),
            "refusals": [
                {"line": line, "column": column, "code": code, "message": REASONS[code]} for line, column, code in first
            ],
            "refusals_left_out": self.refused - len(first),
        }

"""What became of an upload, row by row, without a single value of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gateway.catalog.columns import MESSAGES
from gateway.catalog.customers import CustomerRows
from gateway.catalog.reading import RefusedRow
from gateway.errors import GatewayError

MOST_REFUSALS = 1000


class Report:
    """Counts every row, keeps the first thousand refusals."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self.error: GatewayError | None = None
        self._by_code: Counter[str] = Counter()
        self._first: list[RefusedRow] = []

    def add(self, accepted: int, refused: Iterable[RefusedRow]) -> None:
        """Count one batch."""
        self.accepted += accepted
        for row in refused:
            self.refused += 1
            self._by_code[row.code] += 1
            if len(self._first) < MOST_REFUSALS:
                self._first.append(row)

    @property
    def first(self) -> RefusedRow | None:
        """The first row that was refused."""
        return self._first[0] if self._first else None

    def as_json(self) -> dict[str, Any]:
        """Counts by code and the first refusals, each with line, field, code and message."""
        named: dict[str, Any] = {
            "accepted": self.accepted,
            "refused": self.refused,
            "refused_by_code": dict(sorted(self._by_code.items())),
            "refusals": [
                {"line": line, "field": field, "code": code, "message": MESSAGES[code]}
                for line, field, code in self._first
            ],
            "refusals_left_out": self.refused - len(self._first),
        }
        if self.error is not None:
            named["error"] = {"code": self.error.code, "detail": self.error.detail, "field": self.error.field}
            if isinstance(self.error, CustomerRows):
                named["error"]["columns"] = [column.describe() for column in self.error.columns]
        return named

"""A ledger whose first change is refused, as that of an owner is whose log an older database was put under."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway.ledger import Change, Ledger
from gateway.ledger.errors import LedgerRolledBack


class RolledBackAtFirst:
    """Every change after the first goes through."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._refused = False

    def changing(self, *logs: str, **narrows: Any) -> AbstractAsyncContextManager[Change]:
        if not self._refused:
            self._refused = True
            raise LedgerRolledBack("The log ran back.")
        return self._ledger.changing(*logs, **narrows)

"""What happened? Entries before anything opens, provable offline by anyone who holds a log's public key.

Names load on first use, so that `gateway.ledger.verify` runs where no database driver is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.ledger.change import Change
    from gateway.ledger.entries import Draft, Effect, Kind, Once, Opening, Quota, Receipt, Recorded
    from gateway.ledger.errors import (
        ClockBehind,
        LedgerRolledBack,
        LedgerUnavailable,
        StaleJudgement,
        UnknownLog,
        UsedBefore,
        WarrantExpired,
        WarrantRejected,
    )
    from gateway.ledger.ledger import Ledger
    from gateway.ledger.warrant import OpeningGroup, Warrant

_HOMES = {
    "Change": "change",
    "ClockBehind": "errors",
    "Draft": "entries",
    "Effect": "entries",
    "Kind": "entries",
    "Ledger": "ledger",
    "LedgerRolledBack": "errors",
    "LedgerUnavailable": "errors",
    "Once": "entries",
    "Opening": "entries",
    "OpeningGroup": "warrant",
    "Quota": "entries",
    "Receipt": "entries",
    "Recorded": "entries",
    "StaleJudgement": "errors",
    "UnknownLog": "errors",
    "UsedBefore": "errors",
    "Warrant": "warrant",
    "WarrantExpired": "errors",
    "WarrantRejected": "errors",
}

__all__ = [
    "Change",
    "ClockBehind",
    "Draft",
    "Effect",
    "Kind",
    "Ledger",
    "LedgerRolledBack",
    "LedgerUnavailable",
    "Once",
    "Opening",
    "OpeningGroup",
    "Quota",
    "Receipt",
    "Recorded",
    "StaleJudgement",
    "UnknownLog",
    "UsedBefore",
    "Warrant",
    "WarrantExpired",
    "WarrantRejected",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"gateway.ledger.{_HOMES[name]}"), name)

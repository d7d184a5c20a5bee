"""Everything about overlaps, constructed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.access.enforcement import EnforcementPoint
from gateway.agreements import Agreements
from gateway.clock import Clock
from gateway.consents.contacts import BlindIndex
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.overlap.counting import counting
from gateway.overlap.freezing import Freezing
from gateway.overlap.overlaps import Overlaps
from gateway.overlap.runs import OverlapRuns
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Overlapping:
    """What members ask, and what runs once both have agreed."""

    overlaps: Overlaps
    runs: OverlapRuns

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        agreements: Agreements,
        enforcement: EnforcementPoint,
    ) -> Self:
        """Persons are read through `enforcement` alone, and counted by the best means that is installed."""
        freezing = Freezing(enforcement, BlindIndex(keyring), clock)
        runs = OverlapRuns(database, ledger, keyring, freezing, counting(), clock)
        return cls(Overlaps(database, ledger, agreements, clock), runs)

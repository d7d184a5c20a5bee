"""Everything about cases, constructed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.agreements import Agreements
from gateway.approvals import Act
from gateway.cases.cases import Cases
from gateway.cases.deciding import Deciding
from gateway.cases.disputable import Disputable, SeesReferral
from gateway.cases.disputes import Disputes
from gateway.cases.incidents import Incidents
from gateway.clock import Clock
from gateway.database import Database
from gateway.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Casework:
    """What looks cases up, opens them, and decides them."""

    cases: Cases
    disputes: Disputes
    incidents: Incidents
    decisions: Deciding

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        agreements: Agreements,
        clock: Clock,
        *,
        sees_referral: SeesReferral,
        leak_hold_hours: int,
    ) -> Self:
        """`leak_hold_hours`: how long a reported leak holds the leaker's access."""
        return cls(
            Cases(database, clock),
            Disputes(database, ledger, agreements, Disputable(database, sees_referral)),
            Incidents(database, ledger, agreements, hold_hours=leak_hold_hours),
            Deciding(database, ledger),
        )

    def acts(self) -> list[Act]:
        """`decide_case`."""
        return self.decisions.acts()

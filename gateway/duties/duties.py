"""Everything about duties, constructed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.agreements import Agreements
from gateway.clock import Clock
from gateway.database import Database
from gateway.duties.agenda import Agenda, Beside
from gateway.duties.returns import Returns
from gateway.duties.run import DutyRun
from gateway.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Duties:
    """What shows duties, settles them, and takes certificates."""

    agenda: Agenda
    returns: Returns
    settling: DutyRun

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        agreements: Agreements,
        clock: Clock,
        *,
        return_days: int,
        beside: Beside | None = None,
    ) -> Self:
        """`return_days`: within how many days after an agreement's end to return or destroy; `beside`: other duties."""
        returns = Returns(database, ledger, agreements, days=return_days)
        settling = DutyRun(database, ledger, agreements, returns, clock)
        return cls(Agenda(database, agreements, clock, beside), returns, settling)

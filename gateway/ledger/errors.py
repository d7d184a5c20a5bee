"""How the ledger refuses."""

from __future__ import annotations

from gateway.errors import Conflicting, Invalid, Unavailable


class LedgerUnavailable(Unavailable):
    """The ledger cannot append now: queue full, database away, or closed. Nobody opens anything."""

    def __init__(self, detail: str = "The ledger cannot append now.") -> None:
        super().__init__("ledger_unavailable", detail)


class ClockBehind(Unavailable):
    """This machine's clock is more than five seconds behind the newest entry of the log; nothing was appended."""

    def __init__(self) -> None:
        super().__init__("clock_behind", "The clock is behind the ledger; entries would be out of time.")


class StaleJudgement(Unavailable):
    """The permit was judged by a state that a narrowing has since replaced, or has run out; nothing was appended.

    Whoever judged reads the present state and decides again.
    """

    def __init__(self) -> None:
        super().__init__("stale_judgement", "What the permit was judged by no longer stands.")


class UsedBefore(Conflicting):
    """What the entry would have used up (`Draft.once`) was used before; nothing was appended."""

    def __init__(self) -> None:
        super().__init__("used_before", "It can be used once, and was.")


class LedgerRolledBack(Unavailable):
    """The database does not hold what was signed before; it is not signed again. An incident for people."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "ledger_rolled_back", detail, remedy="Bring back the newest database; an older one is never signed."
        )


class OlderDatabase(LedgerRolledBack):
    """One log shows that the database is an older one: the other logs in it may lack nothing, but it does."""


class UnknownLog(Invalid):
    """No such log, or one that the change did not name; nothing was appended."""

    def __init__(self) -> None:
        super().__init__("unknown_log", "There is no such log here.", field="log", remedy="Open the log first.")


class WarrantExpired(Unavailable):
    """The permit ran out before it was used: its seconds were over, or the agreement or a consent ended meanwhile."""

    def __init__(self) -> None:
        super().__init__("warrant_expired", "The permit ran out before anything was opened.")


class WarrantRejected(Exception):
    """A warrant was used for what it does not name, twice, or too late: a fault of the gateway, not of a caller."""

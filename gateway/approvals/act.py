"""What can be proposed: acts that `app` registers, each with its own rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.database import Reading
from gateway.ledger import Change

Arguments = Mapping[str, Any]
"""What an act is done with: a value of the canonical JSON subset, stored as RFC 8785 text."""


@dataclass(frozen=True, slots=True)
class Mandate:
    """Who wanted an act and who agreed, for the entries that the act makes. `digest` is its arguments' SHA-256."""

    alliance: str
    proposal: str
    digest: str
    proposer: str
    approver: str

    def actor(self) -> dict[str, str]:
        """As entries name it: the proposer's act, with whoever approved it."""
        return {"operator": self.proposer, "approver": self.approver, "proposal": self.proposal}


async def _nobody(_: str, __: Arguments) -> Collection[str]:
    return ()


async def _nothing(_: Change, __: Mandate, ___: Arguments) -> None:
    return


Concerned = Callable[[str, Arguments], Awaitable[Collection[str]]]
"""Given the alliance and the arguments: the logs, or the owners, that an act concerns."""


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of act that needs two people.

    `check(reading, alliance, arguments)` raises a deliberate error unless the act could be done now: nothing is
    proposed that cannot be done. It must refuse whatever lies outside the alliance, and every argument it does not
    know. `perform(change, mandate, arguments)` does the act inside the transaction that approves it, with its own
    entries, and returns the name of what it made ('' for nothing). It relies on nothing that `check` saw: days may
    lie between. It touches nothing but `change`, for nothing else is undone with it. `narrows` names the owners whose
    permits must be judged anew, where the act takes something away; `logs` names further logs that it enters into.
    `declined(change, mandate, arguments)` is what declining means beyond the proposal, in the transaction that declines
    it; the mandate's `approver` is then whoever declined.
    """

    name: str
    check: Callable[[Reading, str, Arguments], Awaitable[None]]
    perform: Callable[[Change, Mandate, Arguments], Awaitable[str]]
    narrows: Concerned = _nobody
    logs: Concerned = _nobody
    declined: Callable[[Change, Mandate, Arguments], Awaitable[None]] = _nothing

"""What operators do, and what is tried in their name, as entries of the operator's log of their alliance."""

from __future__ import annotations

from typing import Any

from gateway.clock import Clock
from gateway.errors import Reason
from gateway.identity.operators.operator import Operator
from gateway.identity.operators.refusals import SignInRefused
from gateway.identity.security_log import OnceAMinute, SecurityLog
from gateway.ledger import Draft, Effect, Kind, Ledger


def entry(alliance: str, act: str, actor: str, **facts: Any) -> Draft:
    """What was done, by whom: an operator's id, or the host's account."""
    return Draft(log=alliance, kind=Kind.ADMIN, facts={"act": act, "actor": {"operator": actor}, **facts})


class Refusals:
    """Failed attempts: an entry where they concern an operator that we know, else a note in the security log.

    The same refusal of the same operator is entered at most once a minute, so that nobody can flood the log.
    """

    def __init__(self, ledger: Ledger, clock: Clock, log: SecurityLog) -> None:
        self._ledger = ledger
        self._log = log
        self._once = OnceAMinute(clock)

    async def refuse(self, code: str, operator: Operator | None = None) -> SignInRefused:
        """Put the attempt on record and return what the browser is told."""
        await self.enter(code, operator)
        return SignInRefused(code, operator=operator.id if operator else "")

    async def enter(self, code: str, operator: Operator | None) -> None:
        """Put the attempt on record."""
        self._log.note(code)
        if operator is not None and self._once.passes(operator.id, code):
            facts = {"act": "operator_refused", "actor": {"operator": operator.id}}
            draft = Draft(
                log=operator.alliance, kind=Kind.ADMIN, facts=facts, effect=Effect.DENY, reasons=(Reason(code),)
            )
            await self._ledger.record(draft)

"""From what governs a request to its decision; within one second, the very same question is asked once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from gateway.access.governing import Governing
from gateway.access.judgement import Judgement
from gateway.access.obliged import Owed
from gateway.access.request import AccessRequest
from gateway.clock import Clock, seconds
from gateway.ledger import Effect
from gateway.policy import DecisionPoint, indeterminate

_MOST_REMEMBERED = 1024


class Deciding:
    """Puts a request to the decision point.

    The decision point remembers by the canonical case, whose making costs more than the decision. A judgement
    is remembered here under everything that makes its case, the second included, so that it is exact.
    """

    def __init__(self, decisions: DecisionPoint, clock: Clock) -> None:
        self._decisions = decisions
        self._clock = clock
        self._remembered: OrderedDict[tuple[Any, ...], Judgement] = OrderedDict()

    async def judge(self, request: AccessRequest, governing: Governing) -> Judgement:
        """The judgement, with nothing selected yet; indeterminate while another policy is in force than is loaded."""
        now_s = seconds(max(self._clock(), governing.last_time))
        key = (id(governing), now_s, *request.question())
        known = self._remembered.get(key)
        if known is not None and known.governing is governing:
            return known
        judgement = await self._put(request, governing, now_s)
        if judgement.decision.effect is not Effect.INDETERMINATE:
            self._remembered[key] = judgement
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return judgement

    async def _put(self, request: AccessRequest, governing: Governing, now_s: int) -> Judgement:
        case = governing.case(request, now_s)
        loaded = governing.policy_digest == self._decisions.digest
        decision = await self._decisions.decide(case) if loaded else indeterminate("POLICY_NOT_LOADED")
        owed = None if decision.obligations is None else Owed.by(decision.obligations, now_s)
        return Judgement(governing, case, decision, self._decisions.engine, now_s, owed)

"""The decision point: one question, one answer, never an exception."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.errors import GatewayError, Invalid
from gateway.policy.case import Case, read_case
from gateway.policy.engine import Engine, EngineUnavailable
from gateway.policy.memo import Memo
from gateway.policy.model import AnswerInvalid, Decision, believe, indeterminate
from gateway.policy.vectors import vectors

_log = logging.getLogger(__name__)
_CAPACITY: Final = 4096


class SelfTestFailed(GatewayError):
    """The engine answers a known case wrongly: with it, nothing may be served."""

    def __init__(self, engine: str, vector: str) -> None:
        super().__init__(
            "policy_self_test_failed",
            f"The engine {engine} answers wrongly: {vector}.",
            remedy="Correct the policy, or use the other engine; `opa test policies` shows the rules at work.",
        )


class DecisionPoint:
    """Decides cases by one engine and one policy, and remembers exactly (`memo_capacity=0`: nothing).

    Nothing is decided before the engine has passed the self-test: `start` runs it, and so does the first decision
    after a start at which the engine was not there.
    """

    def __init__(self, engine: Engine, *, memo_capacity: int = _CAPACITY) -> None:
        self._engine = engine
        self._memo = Memo(memo_capacity)
        self._proven = False
        self._refused: SelfTestFailed | None = None
        self._proving = asyncio.Lock()

    @property
    def digest(self) -> str:
        """The digest of the policy that decides."""
        return self._engine.digest

    @property
    def engine(self) -> str:
        """The name of the engine that decides."""
        return self._engine.name

    async def start(self) -> None:
        """Run the self-test. `SelfTestFailed`: refuse to serve. `EngineUnavailable`: it is run again when needed."""
        async with self._proving:
            if self._refused:
                raise self._refused
            if not self._proven:
                await self._prove()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """The answer to a case (its members: docs/decisions/0002-policy-engines.md). It never raises.

        Where there is no answer the effect is indeterminate, with one reason: CASE_INVALID (the document is no
        case), POLICY_UNAVAILABLE (no engine, not in time, another policy), POLICY_ANSWER_INVALID (no decision).
        """
        try:
            case = read_case(document)
        except Exception as error:
            _log.warning("A document was no case: %s", _described(error))
            return indeterminate("CASE_INVALID")
        try:
            return self._recall(case) or await self._evaluate(case)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            _log.warning("No decision: %s", _described(error))
            invalid = isinstance(error, AnswerInvalid)
            return indeterminate("POLICY_ANSWER_INVALID" if invalid else "POLICY_UNAVAILABLE", case.input_sha256)

    def _recall(self, case: Case) -> Decision | None:
        remembered = self._memo.recall(case.key, case.now)
        return remembered and replace(remembered, input_sha256=case.input_sha256)

    async def _evaluate(self, case: Case) -> Decision:
        if not self._proven:
            await self.start()
        answer = await self._engine.evaluate(case)
        decision = replace(believe(answer, case.document, case.input_sha256), case_sha256=case.key.hex())
        self._memo.remember(case.key, case.now, decision)
        return decision

    async def _prove(self) -> None:
        for name, document, effect in vectors():
            try:
                answer = await self._engine.evaluate(read_case(document))
                right = believe(answer, document).effect is effect
            except AnswerInvalid:
                right = False
            if not right:
                self._refused = SelfTestFailed(self.engine, name)
                raise self._refused
        self._proven = True


def _described(error: BaseException) -> str:
    """What may stand in a log: our own errors say what they may, others only their kind."""
    if isinstance(error, Invalid | AnswerInvalid | EngineUnavailable | SelfTestFailed):
        return f"{error.code} {error.detail} {error.field or ''}".rstrip()
    return type(error).__name__

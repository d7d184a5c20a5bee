"""What a policy engine is to the gateway."""

from __future__ import annotations

from typing import Any, Protocol

from gateway.errors import Unavailable
from gateway.policy.case import Case


class Engine(Protocol):
    """Evaluates `gateway/access/decision` of one policy."""

    @property
    def name(self) -> str:
        """`regopy` or `opa`."""

    @property
    def digest(self) -> str:
        """The digest of the policy that every answer is by."""

    async def evaluate(self, case: Case) -> Any:
        """The engine's answer as plain JSON values, not yet believed; raises `EngineUnavailable`."""

    async def close(self) -> None: ...


class EngineUnavailable(Unavailable):
    """The policy engine gave no answer, or none by the policy that was asked for."""

    def __init__(self, detail: str) -> None:
        super().__init__("policy_unavailable", detail)

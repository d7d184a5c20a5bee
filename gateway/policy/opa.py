"""The engine of production: a real OPA server, asked through opa-python-client.

Constants only in path and query, 250 ms for everything, no retries. With each answer OPA states, from the
transaction that it was computed in, the revisions of its bundles: unless exactly one is our digest, it is no
answer. Other bundles may stand beside it, and can't touch our rules: OPA gives each root to one bundle alone.
A revision is what the bundle's builder says it is; sign the bundle so that only a builder you trust can say it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from opa_client.opa_async import AsyncOpaClient

from gateway.policy.breaker import Breaker
from gateway.policy.case import Case
from gateway.policy.engine import EngineUnavailable

_PACKAGE: Final = "gateway/access"
_RULE: Final = "decision"
_WITH_PROVENANCE: Final = {"provenance": True}


class OpaServer:
    """Evaluates by an OPA server that must run the policy of `digest`. Open it inside the event loop that uses it.

    `token` is sent as a bearer token; `tls` verifies the server by the system's authorities, with `certificate`
    (paths of certificate and key) as our own.
    """

    name = "opa"

    def __init__(
        self,
        digest: str,
        *,
        host: str,
        port: int,
        tls: bool = False,
        certificate: tuple[str, str] | None = None,
        token: str | None = None,
        timeout_s: float = 0.25,
        breaker: Breaker | None = None,
    ) -> None:
        self.digest = digest
        self._timeout_s = timeout_s
        self._breaker = breaker or Breaker()
        self._client: Any = AsyncOpaClient(
            host=host, port=port, ssl=tls, cert=certificate, token=token, retries=0, timeout=timeout_s
        )
        self._opened = False

    async def open(self) -> None:
        """Prepare the connection pool; says nothing about whether the server is there."""
        await self._client.__aenter__()
        self._opened = True

    async def close(self) -> None:
        """Close the connections."""
        self._opened = False
        await self._client.close_connection()

    async def evaluate(self, case: Case) -> Any:
        """See `Engine.evaluate`."""
        if not self._opened:
            raise EngineUnavailable("The OPA client is not open.")
        if not self._breaker.admits():
            raise EngineUnavailable("The OPA server failed repeatedly; it is tried again within a second.")
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._client.query_rule(case.document, _PACKAGE, _RULE, _WITH_PROVENANCE)
            answer = self._answer_by_our_policy(body)
        except EngineUnavailable:
            self._breaker.failed()
            raise
        except Exception as error:
            self._breaker.failed()
            raise EngineUnavailable(f"The OPA server gave no answer ({type(error).__name__}).") from None
        self._breaker.succeeded()
        return answer

    def _answer_by_our_policy(self, body: Any) -> Any:
        if not isinstance(body, dict) or "result" not in body:
            raise EngineUnavailable("The OPA server knows no such rule.")
        if _revisions(body).count(self.digest) != 1:
            raise EngineUnavailable("The OPA server runs another policy.")
        return body["result"]


def _revisions(body: dict[str, Any]) -> list[Any]:
    provenance = body.get("provenance")
    bundles = provenance.get("bundles") if isinstance(provenance, dict) else None
    if not isinstance(bundles, dict):
        return []
    return [bundle.get("revision") if isinstance(bundle, dict) else None for bundle in bundles.values()]

"""A real OPA server decides, or there is no decision: within the budget, and it recovers by itself."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.ledger import Effect
from gateway.policy import DecisionPoint, EngineUnavailable, PolicyBundle, SelfTestFailed, load_bundle
from gateway.policy.breaker import Breaker
from gateway.policy.case import read_case
from gateway.policy.opa import OpaServer
from gateway.policy.rego import EmbeddedRego
from tests.policy.cases import agreed_case, generated_cases, put
from tests.policy.conftest import POLICIES
from tests.services.opa import OPA

_BUSY_S = 10.0
"""The machine may be busy: so long an answer may take where it is the answer that matters."""
_HANGS_S = 0.5
_RECOVERS_WITHIN_S = 60.0


@asynccontextmanager
async def _asking(
    port: int, digest: str, *, token: str | None = None, timeout_s: float = _BUSY_S
) -> AsyncIterator[DecisionPoint]:
    engine = OpaServer(digest, host="127.0.0.1", port=port, token=token, timeout_s=timeout_s)
    await engine.open()
    point = DecisionPoint(engine, memo_capacity=0)
    try:
        yield point
    finally:
        await point.close()


@pytest.fixture
def own_server(opa_binary: Path) -> Iterator[OPA]:
    """A server that this test may stop."""
    with OPA(opa_binary) as server:
        yield server


async def _effect(point: DecisionPoint) -> Effect:
    return (await point.decide(agreed_case())).effect


async def _recovers(point: DecisionPoint) -> None:
    deadline = time.monotonic() + _RECOVERS_WITHIN_S
    while await _effect(point) is not Effect.PERMIT:
        assert time.monotonic() < deadline, "it did not recover by itself"
        await asyncio.sleep(0.1)


async def test_the_server_decides_as_the_embedded_engine(
    bundle: PolicyBundle, opa_server: OPA, embedded: EmbeddedRego
) -> None:
    here = DecisionPoint(embedded, memo_capacity=0)
    async with _asking(opa_server.port, bundle.digest) as point:
        await point.start()
        assert (point.engine, point.digest) == ("opa", bundle.digest)
        cases = [case for number, case in enumerate(generated_cases(3, 60)) if number % 3]
        for case in cases:
            decision = await point.decide(case)
            assert decision == await here.decide(case)
            assert decision.effect is not Effect.INDETERMINATE


async def test_a_guarded_server_answers_the_bearer_of_its_token_alone(bundle: PolicyBundle, opa_binary: Path) -> None:
    with OPA(opa_binary, token="a-token-of-this-test") as server:
        async with _asking(server.port, bundle.digest, token="a-token-of-this-test") as point:
            assert await _effect(point) is Effect.PERMIT
        for token in (None, "another"):
            async with _asking(server.port, bundle.digest, token=token) as point:
                assert await _effect(point) is Effect.INDETERMINATE


async def test_a_stopped_server_gives_no_decision_and_a_started_one_does(bundle: PolicyBundle, own_server: OPA) -> None:
    async with _asking(own_server.port, bundle.digest) as point:
        assert await _effect(point) is Effect.PERMIT
        own_server.kill()
        for _ in range(8):
            assert await _effect(point) is Effect.INDETERMINATE
        own_server.start()
        await _recovers(point)


async def test_a_server_that_was_never_there_is_used_when_it_comes(bundle: PolicyBundle, own_server: OPA) -> None:
    own_server.kill()
    async with _asking(own_server.port, bundle.digest) as point:
        with pytest.raises(EngineUnavailable):
            await point.start()
        assert await _effect(point) is Effect.INDETERMINATE
        own_server.start()
        await _recovers(point)


async def test_a_server_that_hangs_gives_no_decision_and_is_soon_not_asked(
    bundle: PolicyBundle, own_server: OPA
) -> None:
    async with _asking(own_server.port, bundle.digest, timeout_s=_HANGS_S) as point:
        await _recovers(point)
        with own_server.frozen():
            for _ in range(5):
                assert await _effect(point) is Effect.INDETERMINATE
            with pytest.raises(EngineUnavailable, match="failed repeatedly"):
                await point._engine.evaluate(read_case(agreed_case()))
        await _recovers(point)


async def test_a_server_with_another_policy_gives_no_decision(
    bundle: PolicyBundle, opa_binary: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    with (folder / "gateway" / "access" / "holds.rego").open("a") as rules:
        rules.write("\n# edited\n")
    other = load_bundle(folder).digest
    with OPA(opa_binary, policies=folder) as server:
        async with _asking(server.port, bundle.digest) as point:
            assert await _effect(point) is Effect.INDETERMINATE
        async with _asking(server.port, other) as point:
            assert await _effect(point) is Effect.PERMIT


async def test_a_policy_without_the_entry_point_gives_no_decision(opa_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "other.rego").write_text("package gateway.other\n\nx := 1\n")
    with OPA(opa_binary, policies=tmp_path) as server:
        async with _asking(server.port, load_bundle(tmp_path).digest) as point:
            with pytest.raises(EngineUnavailable, match="no such rule"):
                await point.start()
            assert await _effect(point) is Effect.INDETERMINATE


async def test_a_policy_that_permits_everything_serves_nothing(opa_binary: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    path = folder / "gateway" / "access" / "decision.rego"
    path.write_text(path.read_text().replace("count(unmet) == 0", "count(unmet) >= 0"))
    with OPA(opa_binary, policies=folder) as server:
        async with _asking(server.port, load_bundle(folder).digest) as point:
            with pytest.raises((SelfTestFailed, EngineUnavailable)):
                await point.start()
            assert await _effect(point) is Effect.INDETERMINATE


async def test_a_client_that_is_not_open_gives_no_decision(bundle: PolicyBundle) -> None:
    point = DecisionPoint(OpaServer(bundle.digest, host="127.0.0.1", port=1))
    assert (await point.decide(put(agreed_case(), ("context", "now"), 5))).effect is Effect.INDETERMINATE


def test_the_breaker_opens_after_five_failures_and_tries_once_a_second() -> None:
    now = 100.0
    breaker = Breaker(lambda: now)
    for _ in range(4):
        breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    now += 1.0
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.failed()
    assert not breaker.admits()
    now += 1.0
    assert breaker.admits()
    breaker.succeeded()
    assert [breaker.admits(), breaker.admits()] == [True, True]


def test_one_success_forgets_the_failures_before_it() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(4):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admits()

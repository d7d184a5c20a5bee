"""The decision point never raises, remembers exactly, and serves nothing before its engine has proved itself."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from gateway.errors import Invalid, Reason
from gateway.ledger import Effect
from gateway.policy import DecisionPoint, EngineUnavailable, PolicyBundle, SelfTestFailed, load_bundle, rego
from gateway.policy.bundle import Module
from gateway.policy.case import Case, read_case
from gateway.policy.engine import Engine
from gateway.policy.memo import Memo
from gateway.policy.model import Decision
from gateway.policy.rego import EmbeddedRego
from gateway.policy.vectors import vectors
from tests.policy.cases import NOW, agreed_case, put
from tests.policy.conftest import POLICIES


class Interposed:
    """The real engine with something done to its answers: an error raised, or another answer given."""

    name = "interposed"

    def __init__(self, engine: EmbeddedRego) -> None:
        self._engine = engine
        self.digest = engine.digest
        self.evaluations = 0
        self.instead: Any = None

    async def evaluate(self, case: Case) -> Any:
        self.evaluations += 1
        if isinstance(self.instead, BaseException):
            raise self.instead
        return await self._engine.evaluate(case) if self.instead is None else self.instead

    async def close(self) -> None:
        await self._engine.close()


@pytest.fixture
def interposed(embedded: EmbeddedRego) -> Interposed:
    return Interposed(embedded)


@pytest.fixture
async def point(interposed: Interposed) -> DecisionPoint:
    point = DecisionPoint(interposed)
    await point.start()
    interposed.evaluations = 0
    return point


def _codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


async def test_a_decision_says_what_it_is_about(point: DecisionPoint, bundle: PolicyBundle) -> None:
    decision = await point.decide(agreed_case())
    assert decision.effect is Effect.PERMIT
    assert decision.fields == ("amount", "origin")
    assert decision.input_sha256 == read_case(agreed_case()).input_sha256
    assert (point.digest, point.engine) == (bundle.digest, "interposed")


async def test_a_refusal_names_its_clause(point: DecisionPoint) -> None:
    decision = await point.decide(put(agreed_case(), ("agreement", "state"), "draft"))
    assert (decision.effect, decision.reasons) == (Effect.DENY, (Reason("AGREEMENT_NOT_IN_FORCE", "2.3.2"),))


@pytest.mark.parametrize("document", [None, {}, [], "case", {"subject": object()}, {"a": float("nan")}])
async def test_a_document_that_is_no_case_is_indeterminate(point: DecisionPoint, document: Any) -> None:
    decision = await point.decide(document)
    assert (decision.effect, _codes(decision)) == (Effect.INDETERMINATE, ["CASE_INVALID"])


class Answering(ThreadPoolExecutor):
    """Whatever it is asked, this is its answer."""

    def __init__(self, answer: Future[Any]) -> None:
        super().__init__(1)
        self._answer = answer

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        return self._answer


class _Panic(BaseException):
    """As a native engine may raise."""


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), TimeoutError(), EngineUnavailable("x"), Invalid("a", "b"), MemoryError(), _Panic()]
)
async def test_no_error_leaves_the_decision_point(
    point: DecisionPoint, interposed: Interposed, error: BaseException
) -> None:
    interposed.instead = error
    decision = await point.decide(agreed_case())
    assert (decision.effect, _codes(decision)) == (Effect.INDETERMINATE, ["POLICY_UNAVAILABLE"])
    assert decision.input_sha256 == read_case(agreed_case()).input_sha256


async def test_cancelling_the_caller_is_not_swallowed(point: DecisionPoint, interposed: Interposed) -> None:
    interposed.instead = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await point.decide(agreed_case())


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_that_comes_with_the_answer_is_not_swallowed(embedded: EmbeddedRego, turns: int) -> None:
    answer: Future[Any] = Future()
    embedded._threads = Answering(answer)
    asking = asyncio.create_task(embedded.evaluate(read_case(agreed_case())))
    await asyncio.sleep(0)
    answer.set_result({})
    for _ in range(turns):
        await asyncio.sleep(0)
    if asking.cancel():
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert asking.done()


@pytest.mark.parametrize("answer", [{}, [], "permit", {"effect": "permit"}, True])
async def test_an_answer_that_is_no_decision_is_indeterminate(
    point: DecisionPoint, interposed: Interposed, answer: Any
) -> None:
    interposed.instead = answer
    decision = await point.decide(agreed_case())
    assert (decision.effect, _codes(decision)) == (Effect.INDETERMINATE, ["POLICY_ANSWER_INVALID"])


async def test_what_is_indeterminate_is_asked_again(point: DecisionPoint, interposed: Interposed) -> None:
    failures: list[Any] = [RuntimeError("x"), {}]
    for interposed.instead in failures:
        assert (await point.decide(agreed_case())).effect is Effect.INDETERMINATE
    interposed.instead = None
    assert (await point.decide(agreed_case())).effect is Effect.PERMIT


async def test_an_answer_is_remembered_while_it_holds(point: DecisionPoint, interposed: Interposed) -> None:
    at = {now: put(agreed_case(), ("context", "now"), now) for now in (NOW - 1, NOW, NOW + 999, NOW + 1000)}
    evaluations = []
    for now in (NOW, NOW, NOW + 999, NOW + 1000, NOW + 1000, NOW - 1):
        await point.decide(at[now])
        evaluations.append(interposed.evaluations)
    assert evaluations == [1, 1, 1, 2, 2, 3]


async def test_a_remembered_answer_names_the_case_it_answers(point: DecisionPoint) -> None:
    first = await point.decide(agreed_case())
    later = put(agreed_case(), ("context", "now"), NOW + 1)
    second = await point.decide(later)
    assert second.input_sha256 == read_case(later).input_sha256 != first.input_sha256


async def test_another_version_of_the_agreement_is_another_question(
    point: DecisionPoint, interposed: Interposed
) -> None:
    await point.decide(agreed_case())
    await point.decide(put(agreed_case(), ("agreement", "version"), 4))
    assert interposed.evaluations == 2


def test_the_memo_forgets_what_was_unused_longest() -> None:
    memo, decision = Memo(2), Decision(Effect.DENY, valid_until=10)
    memo.remember(b"a", 1, decision)
    memo.remember(b"b", 1, decision)
    assert memo.recall(b"a", 2)
    memo.remember(b"c", 1, decision)
    assert [memo.recall(key, 2) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    assert len(memo) == 2


async def test_an_engine_that_answers_wrongly_serves_nothing(interposed: Interposed) -> None:
    interposed.instead = {
        "effect": "deny",
        "fields": [],
        "classes": [],
        "obligations": [],
        "reasons": [{"code": "NO", "clause": ""}],
        "valid_until": 0,
    }
    point = DecisionPoint(interposed)
    with pytest.raises(SelfTestFailed, match="what is agreed is permitted"):
        await point.start()
    interposed.instead = None
    assert (await point.decide(agreed_case())).effect is Effect.INDETERMINATE
    with pytest.raises(SelfTestFailed):
        await point.start()


@pytest.mark.parametrize(
    ("file", "rule", "edited"),
    [
        ("holds.rego", 'hold.state == "lifted"', "true"),
        ("agreement.rego", "now < agreement.ends_at", "true"),
        ("agreement.rego", 'agreement.state == "signed"', "true"),
        ("standing.rego", 'subject.client_state == "active"', "true"),
        ("purpose.rego", '"settlement",', ""),
        ("scope.rego", "every field in action.filters { requested[field] }", "true"),
        ("decision.rego", "count(unmet) == 0", "count(unmet) < 0"),
        ("decision.rego", "count(unmet) == 0", "count(unmet) <= 1"),
    ],
)
async def test_a_policy_that_breaks_a_promise_serves_nothing(tmp_path: Path, file: str, rule: str, edited: str) -> None:
    folder = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    path = folder / "gateway" / "access" / file
    assert rule in path.read_text()
    path.write_text(path.read_text().replace(rule, edited))
    engine = EmbeddedRego(load_bundle(folder))
    with pytest.raises(SelfTestFailed):
        await DecisionPoint(engine).start()
    await engine.close()


@pytest.mark.parametrize("rule", ["decision := undefined_rule", "decision := ", "other := 1"])
async def test_a_policy_that_does_not_compile_serves_nothing(rule: str) -> None:
    engine = EmbeddedRego(PolicyBundle((Module("x.rego", f"package gateway.access\n\n{rule}\n"),), ""))
    with pytest.raises(Invalid, match="policy_invalid"):
        await DecisionPoint(engine).start()
    assert (await DecisionPoint(engine).decide(agreed_case())).effect is Effect.INDETERMINATE
    await engine.close()


async def test_an_engine_that_was_away_at_the_start_is_proved_at_the_first_decision(interposed: Interposed) -> None:
    interposed.instead = EngineUnavailable("away")
    point = DecisionPoint(interposed)
    with pytest.raises(EngineUnavailable):
        await point.start()
    assert (await point.decide(agreed_case())).effect is Effect.INDETERMINATE
    interposed.instead = None
    interposed.evaluations = 0
    assert (await point.decide(agreed_case())).effect is Effect.PERMIT
    assert interposed.evaluations == len(list(vectors())) + 1


async def test_the_embedded_engine_serves_many_callers_at_once(embedded: EmbeddedRego) -> None:
    engine: Engine = embedded
    point = DecisionPoint(engine, memo_capacity=0)
    cases = [put(agreed_case(), ("agreement", "state"), state) for state in ("signed", "draft")] * 20
    decisions = await asyncio.gather(*map(point.decide, cases))
    assert [decision.effect for decision in decisions] == [Effect.PERMIT, Effect.DENY] * 20


async def test_the_embedded_engine_answers_in_time_or_not_at_all(bundle: PolicyBundle) -> None:
    engine = EmbeddedRego(bundle, timeout_s=0.0)
    decision = await DecisionPoint(engine).decide(agreed_case())
    assert (decision.effect, _codes(decision)) == (Effect.INDETERMINATE, ["POLICY_UNAVAILABLE"])
    await engine.close()


async def test_an_interpreter_that_failed_is_not_asked_again(
    embedded: EmbeddedRego, bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing input leaves the case before in the interpreter: its permit must not answer the next caller."""
    good = read_case(agreed_case())
    engine = EmbeddedRego(bundle, workers=1)
    made = Mock(wraps=rego.compile_bundle)
    monkeypatch.setattr(rego, "compile_bundle", made)
    assert (await engine.evaluate(good))["effect"] == "permit"
    broken = Case({**good.document, "holds": [object()]}, good.input_sha256, good.key, good.now)
    for _ in range(2):
        with pytest.raises(ValueError, match="rego"):
            await engine.evaluate(broken)
    answer = await engine.evaluate(good)
    assert made.call_count == 1 + 2
    assert answer == await embedded.evaluate(good)
    await engine.close()

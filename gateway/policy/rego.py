"""The embedded engine: regopy (rego-cpp), a compiled bundle in each worker thread.

How it must be used, and what happens otherwise: docs/decisions/0002-policy-engines.md. Only a case that the schema
has passed goes in, an interpreter that failed once is never asked again, and what comes out is parsed strictly.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from regopy import Interpreter

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.policy.bundle import ENTRYPOINT, JUDGED, PolicyBundle
from gateway.policy.case import Case
from gateway.policy.engine import EngineUnavailable


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """A policy ready to be asked by one thread, and never again by anyone once it has raised."""

    interpreter: Any
    rules: Any

    def judge(self, case: Case) -> Any:
        """The rules' answer to a case.

        Its values go in as they are: the engine quotes no string, and the schema lets none in that would need it.
        """
        self.interpreter.set_input(case.document)
        return self.answer(JUDGED)

    def answer(self, entrypoint: str) -> Any:
        """The value of an entrypoint for the input that was set."""
        output = str(self.interpreter.query_bundle_entrypoint(self.rules, entrypoint))
        try:
            return _only_expression(parse(output.encode()))
        except Invalid:
            raise Invalid(
                "policy_invalid",
                "The embedded engine ended with an error instead of one answer.",
                remedy="Run `opa check --strict` and `opa test` on the policies.",
            ) from None


def _only_expression(output: Any) -> Any:
    match output:
        case {"expressions": [expression], **others} if not others:
            return expression
    raise Invalid("policy_invalid", "Not exactly one expression.")


class EmbeddedRego:
    """Evaluates inside this process, at most `workers` cases at once, each within `timeout_s` with its waiting."""

    name = "regopy"

    def __init__(self, bundle: PolicyBundle, *, workers: int = 2, timeout_s: float = 5.0) -> None:
        self.digest = bundle.digest
        self._bundle = bundle
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="policy")
        self._of_thread = threading.local()

    async def evaluate(self, case: Case) -> Any:
        """See `Engine.evaluate`."""
        answer = asyncio.get_running_loop().run_in_executor(self._threads, self._evaluate, case)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError:
            raise EngineUnavailable("The embedded engine did not answer in time.") from None

    async def close(self) -> None:
        """Let the worker threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _evaluate(self, case: Case) -> Any:
        compiled = getattr(self._of_thread, "compiled", None) or compile_bundle(self._bundle)
        self._of_thread.compiled = None  # an interpreter that fails keeps the case of the caller before
        answer = compiled.judge(case)
        self._of_thread.compiled = compiled
        return answer


def compile_bundle(bundle: PolicyBundle) -> CompiledRules:
    """Compile the policy for the thread that calls; `Invalid` if the engine refuses it."""
    interpreter = Interpreter()
    try:
        for module in bundle.modules:
            interpreter.add_module(module.path, module.text)
        rules = interpreter.build(None, [ENTRYPOINT, JUDGED])
    except Exception as error:
        raise _uncompilable() from error
    if not rules.ok():
        raise _uncompilable()
    return CompiledRules(interpreter, rules)


def _uncompilable() -> Invalid:
    detail = "The embedded engine cannot compile the policy."
    return Invalid("policy_invalid", detail, remedy="Run `opa check --strict` on the policies.")

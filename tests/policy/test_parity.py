"""The embedded engine and a real OPA server give the same answer, whatever they are asked."""

from __future__ import annotations

import json
import multiprocessing
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from gateway.errors import Invalid
from gateway.policy import PolicyBundle
from gateway.policy.case import Case, read_case
from gateway.policy.rego import compile_bundle
from tests.policy.cases import generated_cases
from tests.policy.embedded import decide
from tests.policy.smt.claims import CLAIMS, Claim
from tests.policy.smt.variations import nothing_varies
from tests.services.opa import OPA

COUNT = 20_100
_BATCH = 200
_SHARE = 5_025
"""So many cases does a fresh process decide: the embedded engine keeps memory, and slows down with it."""
_BULK = "answers := [answer | some case in input.cases; answer := data.gateway.access.decision with input as case]"


def _by_opa(server: OPA, cases: Sequence[dict[str, Any]]) -> Iterator[Any]:
    for start in range(0, len(cases), _BATCH):
        batch = cases[start : start + _BATCH]
        body = json.dumps({"query": _BULK, "input": {"cases": batch}}).encode()
        request = urllib.request.Request(f"{server.url}/v1/query", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            answers = json.load(answer)["result"][0]["answers"]
        assert len(answers) == len(batch)
        yield from answers


def _embedded(bundle: PolicyBundle, cases: Sequence[dict[str, Any]]) -> list[Any]:
    """As the gateway asks: what its schema has passed, without asking for types once more."""
    rules = compile_bundle(bundle)
    return [rules.judge(checked) if (checked := _checked(case)) else decide(rules, case) for case in cases]


def _comparable(answer: Any) -> str:
    """All of an answer, type for type; only what is a set has no order.

    OPA repeats the years 1.0 as they were written, regopy as 1. The gateway's schema lets no fraction in.
    """
    obligations = [
        one | ({"fields": sorted(one["fields"])} if "fields" in one else {}) for one in answer["obligations"]
    ]
    sets = {"fields": sorted(answer["fields"]), "classes": sorted(answer["classes"]), "obligations": obligations}
    said = {**answer, **sets}
    return json.dumps(json.loads(json.dumps(said), parse_float=_whole), sort_keys=True)


def _held(claim: Claim, cases: Sequence[dict[str, Any]], answers: Sequence[str]) -> bool:
    """Whether a claim that is proven by formulas holds for the well-typed of these cases too."""
    pairs = zip(cases, map(json.loads, answers), strict=True)
    return all(claim.holds([case], [answer]) for case, answer in pairs if _checked(case))


def _checked(document: Any) -> Case | None:
    try:
        return read_case(document)
    except Invalid:
        return None


def _whole(number: str) -> float | int:
    return int(float(number)) if float(number).is_integer() else float(number)


def test_both_engines_answer_twenty_thousand_cases_alike(
    bundle: PolicyBundle, opa_server: OPA, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = list(generated_cases(seed=20260101, count=COUNT))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        shares = [cases[start : start + _SHARE] for start in range(0, COUNT, _SHARE)]
        parts = [processes.submit(_embedded, bundle, share) for share in shares]
        by_opa = [_comparable(answer) for answer in _by_opa(opa_server, cases)]
        embedded = [_comparable(answer) for part in parts for answer in part.result()]
    different = [case for case, one, other in zip(cases, by_opa, embedded, strict=True) if one != other]
    assert not different, f"{len(different)} differences, the first: {different[0]}"

    held = {claim.name: _held(claim, cases, embedded) for claim in CLAIMS if claim.variation is nothing_varies}
    assert all(held.values()), held
    with capsys.disabled():
        print(f" {len(cases)} cases, a third ill-typed or incomplete: regopy and OPA differ on {len(different)} ")

    effects = Counter(json.loads(answer)["effect"] for answer in embedded)
    codes = {reason["code"] for answer in embedded for reason in json.loads(answer)["reasons"]}
    assert sum(effects.values()) == COUNT
    assert effects["permit"] > COUNT // 20, "too few permits to prove anything"
    assert len(codes) == 21, "a requirement was never unmet"

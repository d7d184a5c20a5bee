"""Proves claims about a policy, or finds the smallest input that breaks one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import z3

from tests.policy.smt.asked import Asked
from tests.policy.smt.claims import Claim
from tests.policy.smt.documents import document_of
from tests.policy.smt.shape import INPUT
from tests.policy.smt.syntax import Rules
from tests.policy.smt.translate import Translation
from tests.policy.smt.unknown import Bounded, Unbounded, Unknown

_SIZES: Final = (1, 2)
_LARGER: Final = 3
_TIMEOUT_MS: Final = 300_000


@dataclass(frozen=True)
class Verdict:
    """`proven` for every input; else `cases` break the claim, or, without any, z3 could not tell."""

    claim: Claim
    proven: bool
    cases: tuple[Mapping[str, Any], ...] = ()


def prove(rules: Rules, claim: Claim) -> Verdict:
    """Look for a counter-example among small inputs; if there is none, prove it for lists of any length."""
    for most in _SIZES:
        cases = _counter_example(rules, claim, Bounded(most))
        if cases is not None:
            return Verdict(claim, proven=False, cases=cases)
    solver, _ = _search(rules, claim, Unbounded())
    if solver.check() == z3.unsat:
        return Verdict(claim, proven=True)
    return Verdict(claim, proven=False, cases=_counter_example(rules, claim, Bounded(_LARGER)) or ())


def is_satisfiable(rules: Rules) -> bool:
    """Whether anything is permitted at all: of a policy that refuses everything, most claims hold for nothing."""
    names = Bounded(1)
    document = names.document(INPUT)
    solver = z3.Solver()
    solver.add(Asked(document, Translation(rules, document, names.text), names).answers("permit"), names.axioms())
    return bool(solver.check() == z3.sat)


def _counter_example(rules: Rules, claim: Claim, names: Bounded) -> tuple[Mapping[str, Any], ...] | None:
    solver, asked = _search(rules, claim, names)
    if solver.check() != z3.sat:
        return None
    return tuple(document_of(one.document, solver.model(), names) for one in asked)


def _search(rules: Rules, claim: Claim, names: Unknown) -> tuple[Any, Sequence[Asked]]:
    variation = claim.variation(names)
    documents = [names.document(INPUT), *([names.document(INPUT, variation)] if variation else [])]
    asked = [Asked(document, Translation(rules, document, names.text), names) for document in documents]
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT_MS)
    solver.add(claim.broken(asked), names.axioms())
    return solver, asked

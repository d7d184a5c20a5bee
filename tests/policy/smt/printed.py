"""A counter-example as a test that can be saved and run: it needs the rules and an engine, and no gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tests.policy.smt.prove import Verdict

_MODULE: Final = '''"""Breaks: {name} (clause {clause}). Found by `make prove`."""

import json
from pathlib import Path

import pytest

from tests.policy.smt.claims import claim
from tests.policy.smt.engines import ENGINES

POLICIES = Path({policies!r})
CASES = json.loads("""
{cases}
""")


@pytest.mark.parametrize("engine", ENGINES)
def test_{identifier}(engine: str) -> None:
    answers = ENGINES[engine](POLICIES, CASES)
    assert claim({name!r}).holds(CASES, answers), json.dumps(answers, indent=1)
'''


def as_test(verdict: Verdict, policies: Path) -> str:
    """The text of a pytest module that fails for as long as the rules in `policies` break the claim."""
    return _MODULE.format(
        name=verdict.claim.name,
        clause=verdict.claim.clause,
        identifier=re.sub("[^a-z0-9]+", "_", verdict.claim.name.lower()),
        policies=str(policies.resolve()),
        cases=json.dumps(verdict.cases, indent=1),
    )

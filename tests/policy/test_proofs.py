"""A rule that breaks a claim is found, with an input that breaks it on both engines. `make prove` proves them all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gateway.policy.case import read_case
from tests.policy.conftest import POLICIES
from tests.policy.smt.claims import claim
from tests.policy.smt.engines import ENGINES
from tests.policy.smt.printed import as_test
from tests.policy.smt.prove import is_satisfiable, prove
from tests.policy.smt.syntax import Rules, read_rules
from tests.services.opa import OPA, binary

ROOT = POLICIES.parent


@pytest.fixture(scope="module")
def translated(opa_server: OPA) -> Rules:
    """The rules of the project, where there is an OPA to parse them."""
    return read_rules(binary(), POLICIES)


def test_a_hold_dominates_in_every_input_there_is(translated: Rules) -> None:
    verdict = prove(translated, claim("a hold that is not lifted dominates"))
    assert verdict.proven, as_test(verdict, POLICIES)


def test_something_is_permitted_so_that_the_claims_say_something(translated: Rules) -> None:
    assert is_satisfiable(translated)


_MUTATIONS = {
    "a hold that is not lifted dominates": ("holds", "every hold in holds { holds_nothing(hold) }", "true"),
    "nothing is permitted before or after the term": (
        "agreement",
        "now < agreement.ends_at",
        "now <= agreement.ends_at",
    ),
    "nothing is permitted to a third party without a grant": (
        "onward",
        "consent.purpose == purpose",
        "is_string(consent.purpose)",
    ),
    "fields are requested, granted, there, and public or under both NDAs": (
        "confidentiality",
        "in_force(circumstances.person_nda)",
        "true",
    ),
    "no field is graded above the clearance, or is important or core data": (
        "clearance",
        "grade <= highest_shareable_grade",
        "true",
    ),
    "personal data demands the person's consent": (
        "obligations",
        "consent_required := false if about_no_person",
        'consent_required := false if agreement.lawful_basis != "consent"',
    ),
    "what leaves after anything is withdrawn could have left before": (
        "standing",
        'subject.client_state == "active"',
        'subject.client_state != "active"',
    ),
    "nothing is permitted while a requirement is unmet": (
        "scope",
        "action.method in agreement.methods",
        "count(agreement.methods) > 0",
    ),
    "there is exactly one answer, and a refusal grants nothing": (
        "decision",
        '"fields": [],\n\t"classes": [],\n\t"obligations": [],\n\t"reasons": unmet',
        '"fields": requested,\n\t"classes": [],\n\t"obligations": [],\n\t"reasons": unmet',
    ),
    "an answer is constant until valid_until": (
        "instants",
        '"until": agreement.ends_at},',
        '"until": agreement.starts_at},',
    ),
}


_BOTH_NDAS: Final = "if {\n\tin_force(circumstances.organisation_nda)\n\tin_force(circumstances.person_nda)\n}"
_OTHER_WAYS: Final = {
    "an else of a rule that gives a name": (
        "fields are requested, granted, there, and public or under both NDAs",
        "confidentiality",
        f"released := in_scope {_BOTH_NDAS} else := public_fields",
        f"released := in_part if true else := in_scope\n\nin_part := in_scope {_BOTH_NDAS}",
    ),
    "a negation of what is always true": (
        "a hold that is not lifted dominates",
        "holds",
        "requirement.DISPUTED_ITEM.met if {\n\tevery hold in holds { holds_nothing(hold) }\n}",
        "broken := 1 if not true\n\nrequirement.DISPUTED_ITEM.met if not broken",
    ),
}


@pytest.mark.parametrize("name", _OTHER_WAYS)
def test_a_rule_that_only_looks_like_a_name_is_not_taken_for_one(opa_binary: Path, tmp_path: Path, name: str) -> None:
    broken, *mutation = _OTHER_WAYS[name]
    verdict = prove(read_rules(opa_binary, _mutated(tmp_path, *mutation)), claim(broken))
    assert not verdict.proven
    assert verdict.cases


def _mutated(folder: Path, file: str, right: str, wrong: str) -> Path:
    policies = Path(shutil.copytree(POLICIES, folder / "policies"))
    rules = policies / "gateway" / "access" / f"{file}.rego"
    assert right in rules.read_text()
    rules.write_text(rules.read_text().replace(right, wrong))
    return policies


@pytest.mark.parametrize("name", _MUTATIONS)
def test_a_rule_that_breaks_a_claim_is_found_and_fails_on_both_engines(
    opa_binary: Path, tmp_path: Path, name: str
) -> None:
    policies = _mutated(tmp_path, *_MUTATIONS[name])
    verdict = prove(read_rules(opa_binary, policies), claim(name))
    assert not verdict.proven
    assert verdict.cases
    for case in verdict.cases:
        read_case(json.loads(json.dumps(case)))
    for ask in ENGINES.values():
        assert not claim(name).holds(verdict.cases, ask(policies, verdict.cases))
        assert claim(name).holds(verdict.cases, ask(POLICIES, verdict.cases))


def test_the_printed_counter_example_runs_and_fails_until_the_rule_is_mended(opa_binary: Path, tmp_path: Path) -> None:
    name = "a hold that is not lifted dominates"
    policies = _mutated(tmp_path, *_MUTATIONS[name])
    verdict = prove(read_rules(opa_binary, policies), claim(name))
    found = tmp_path / "test_found.py"
    found.write_text(as_test(verdict, policies))
    assert "2 failed" in _pytest(found)
    found.write_text(as_test(verdict, POLICIES))
    assert "2 passed" in _pytest(found)


def _pytest(file: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120).stdout

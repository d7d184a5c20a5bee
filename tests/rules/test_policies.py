from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.sources import ROOT
from tests.services import ServiceFailed, opa

_REASON = re.compile(r'"code":\s*"([A-Z_]+)",\s*"clause":\s*"([^"]*)"')
_WITHOUT_CLAUSE = {"CASE_MALFORMED"}  # says that the question was no question, not that a rule was broken


def test_every_code_of_the_policies_names_its_clause() -> None:
    rules = [path for path in (ROOT / "policies").rglob("*.rego") if not path.name.endswith("_test.rego")]
    reasons = [reason for path in rules for reason in _REASON.findall(path.read_text())]
    assert len(reasons) >= 8
    bare = {code for code, clause in reasons if not re.fullmatch(r"\d+(\.\d+)+", clause)}
    assert bare - _WITHOUT_CLAUSE == set()


def test_the_policies_pass_check_strict_and_fmt_and_their_own_tests(opa_binary: Path) -> None:
    opa.check_policies(opa_binary)


def test_a_failing_policy_test_is_noticed(opa_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "a_test.rego").write_text("package a_test\n\ntest_no if {\n\t1 == 2\n}\n")
    with pytest.raises(ServiceFailed, match="test_no"):
        opa.check_policies(opa_binary, tmp_path)

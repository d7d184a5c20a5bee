"""Every refusal of an access is explained once, in both languages, by the clause that the rules name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.access import entry
from gateway.errors import OnHold, Reason, Refused
from gateway.policy.reasons import EXPLANATIONS, LANGUAGES, explained
from gateway.problems import problem_of
from tests.policy.conftest import POLICIES

_NAMED = re.compile(r'"code": "([A-Z_]+)", "clause": "([0-9.]*)"')
_HAN = re.compile(r"[\u4e00-\u9fff]")
_BESIDE_THE_RULES = {"VOLUME_EXCEEDED": "4.1.2"}


def _of_the_rules() -> Iterator[tuple[str, str]]:
    for path in POLICIES.rglob("*.rego"):
        if not path.name.endswith("_test.rego"):
            yield from _NAMED.findall(path.read_text())


def _of_the_entries() -> Iterator[tuple[str, str]]:
    for value in vars(entry).values():
        if isinstance(value, Reason):
            yield value.code, value.clause


def test_every_code_has_one_explanation_under_its_own_clause_and_none_is_orphaned() -> None:
    named = {**_BESIDE_THE_RULES, **dict(_of_the_entries()), **dict(_of_the_rules())}
    assert len(named) >= 23
    assert {code: explanation.clause for code, explanation in EXPLANATIONS.items()} == named


def test_the_rules_give_each_code_one_clause() -> None:
    assert len(set(_of_the_rules())) == len({code for code, _ in _of_the_rules()})


def test_each_explanation_is_in_both_languages() -> None:
    assert LANGUAGES == ("zh-CN", "en")
    for code, explanation in EXPLANATIONS.items():
        for chinese, english in (explanation.title, explanation.remedy):
            assert _HAN.search(chinese), code
            assert english.isascii(), code


def test_a_problem_says_what_a_refusal_means_and_what_helps() -> None:
    document = bytes(problem_of(Refused((Reason("PIA_MISSING", "1.3.4"),))).body).decode()
    for said in ("PIA_MISSING", "1.3.4", "影响评估", "impact assessment", "zh-CN", "arts. 55, 56"):
        assert said in document


def test_a_hold_is_explained_beside_its_case() -> None:
    document = bytes(problem_of(OnHold((Reason("DISPUTED_ITEM", "7.2.3"),), "case-9")).body).decode()
    assert "case-9" in document
    assert "冻结" in document


def test_a_code_that_is_no_refusal_of_an_access_stays_as_it_is() -> None:
    assert explained("CROSS_SITE") == {}

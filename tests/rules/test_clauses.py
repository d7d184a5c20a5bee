"""Each clause that is said to be enforced has a test that is named after it, and the other way round."""

from __future__ import annotations

from tests.clauses import rulebook
from tests.clauses.rulebook import clause_of, enforced, shown_by


def test_every_enforced_clause_has_a_test_of_its_name() -> None:
    assert len(enforced()) >= 20
    assert [number for number in enforced() if not shown_by(number)] == []


def test_every_test_among_the_clauses_names_an_enforced_one() -> None:
    assert len(rulebook.tests()) >= 40
    assert {name: clause_of(name) for name in rulebook.tests() if clause_of(name) not in enforced()} == {}

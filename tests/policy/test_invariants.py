"""What holds for every case, found by looking for a counter-example on the embedded engine."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.ledger import Effect
from gateway.policy import CIRCUMSTANCES
from gateway.policy.case import NAME_PATTERN, read_case
from gateway.policy.decisions import DecisionPoint
from gateway.policy.model import Decision, believe
from gateway.policy.rego import EmbeddedRego
from tests.policy.cases import ALWAYS, ILL_TYPED, NOW, agreed_case, generated_cases, places, put, without
from tests.policy.embedded import decide

_examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_WELL_TYPED = [case for number, case in enumerate(generated_cases(7, 900)) if number % 3]
_cases = st.sampled_from(_WELL_TYPED)
_instants = st.integers(NOW - 3000, NOW + 3000)


def _decided(rules: Any, case: dict[str, Any]) -> Decision:
    checked = read_case(case)
    return believe(rules.judge(checked), checked.document)


def _at(case: dict[str, Any], now: int) -> dict[str, Any]:
    return put(case, ("context", "now"), now)


def test_what_is_agreed_is_permitted(rules: Any) -> None:
    assert _decided(rules, agreed_case()).effect is Effect.PERMIT


@settings(_examples, max_examples=400)
@given(st.from_regex(NAME_PATTERN, fullmatch=True, alphabet=st.characters(codec="ascii")), st.integers(0, 2**53 - 1))
@example("null", 2**53 - 1)
@example("1e5:/@.-", 2**31)
def test_every_name_and_number_that_the_schema_lets_in_reaches_the_rules_as_it_is(
    rules: Any, name: str, number: int
) -> None:
    case = put(agreed_case(), ("agreement", "granted_fields"), [name])
    case["action"] |= {"fields": [name], "filters": []}
    case["resource"] |= {"fields": {name: name}, "grades": {name: 1}, "confidential": {name: "public"}}
    case["agreement"]["confidentiality_years"] = number
    answer = rules.judge(read_case(case))
    assert (answer["fields"], answer["classes"]) == ([name], [name])
    assert {"type": "confidentiality", "years": number} in answer["obligations"]
    assert answer == decide(rules, case)


@_examples
@given(st.recursive(st.sampled_from(ILL_TYPED), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_is_no_case_is_denied(rules: Any, document: Any) -> None:
    assert decide(rules, document)["effect"] == "deny"


@_examples
@given(_cases, st.integers(0))
def test_leaving_a_member_out_never_turns_a_refusal_into_a_permit(rules: Any, case: dict[str, Any], pick: int) -> None:
    members = [path for path in places(case) if isinstance(path[-1], str) and not _may_be_absent(path)]
    assert decide(rules, without(case, members[pick % len(members)]))["effect"] == "deny"


@_examples
@given(_cases, st.sampled_from(CIRCUMSTANCES))
def test_a_circumstance_that_is_absent_is_one_that_never_was(rules: Any, case: dict[str, Any], name: str) -> None:
    path = ("circumstances", name)
    never = put(case, path, {"from": 0, "until": 0})
    assert decide(rules, without(never, path)) == decide(rules, never)


def test_the_agreed_case_needs_every_one_of_its_members(rules: Any) -> None:
    named = [path for path in places(agreed_case()) if isinstance(path[-1], str) and path[:-1] != ("circumstances",)]
    needless = [path for path in named if decide(rules, without(agreed_case(), path))["effect"] == "permit"]
    assert needless == [("resource", "fields", "due_on"), ("resource", "fields", "name")]


def _may_be_absent(path: tuple[Any, ...]) -> bool:
    return path[:-1] in {*_MAPS, ("circumstances",)}


_MAPS = {("resource", "fields"), ("resource", "grades"), ("resource", "confidential")}
"""What is named by the dataset's own fields: one of them may be absent where nothing asks for it."""


def test_no_value_of_another_type_is_permitted_anywhere(rules: Any) -> None:
    for path in places(agreed_case()):
        for value in (None, True, 1.5, "1", -1, 2**53, 2**64, [], {}, [None], {"x": "amount"}):
            answer = decide(rules, put(agreed_case(), path, value))
            harmless = (value == [] and path in _MAY_BE_EMPTY) or (value == "1" and path in _FREE)
            assert harmless or answer["effect"] == "deny", (path, value)


_MAY_BE_EMPTY = {
    ("holds",),
    ("action", "filters"),
    ("agreement", "third_parties"),
    ("onward_consents",),
    ("action", "includes"),  # a signature by the agreed profile is enough, whatever it was demanded for
    ("agreement", "signed_messages", "actions"),
}
_FREE = {
    ("subject", "client"),
    ("subject", "person"),
    ("agreement", "lawful_basis"),
    ("agreement", "third_parties", 0),
    *(("resource", "fields", name) for name in ("amount", "due_on", "origin", "name")),
    ("agreement", "granted_fields", 2),
    ("agreement", "purposes", 1),
    ("holds", 0, "case"),
    ("holds", 0, "subject"),
}


@_examples
@given(_cases, st.lists(st.sampled_from(["active", "lifted", "", "paused"]), min_size=1, max_size=3))
def test_a_hold_that_is_not_lifted_dominates(rules: Any, case: dict[str, Any], states: list[str]) -> None:
    holds = [{"case": "c1", "subject": "flights", "state": state, **ALWAYS} for state in [*states, "active"]]
    answer = decide(rules, {**case, "holds": holds})
    assert answer["effect"] == "deny"
    assert {"code": "DISPUTED_ITEM", "clause": "7.2.3"} in answer["reasons"]


@_examples
@given(_cases, _instants)
def test_nothing_is_permitted_outside_the_term(rules: Any, case: dict[str, Any], now: int) -> None:
    starts_at, ends_at = case["agreement"]["starts_at"], case["agreement"]["ends_at"]
    for instant in (now, starts_at - 1, starts_at, ends_at - 1, ends_at, ends_at + 1):
        if instant >= 0 and _decided(rules, _at(case, instant)).effect is Effect.PERMIT:
            assert starts_at <= instant < ends_at


@_examples
@given(_cases)
def test_fields_are_those_requested_granted_and_there(rules: Any, case: dict[str, Any]) -> None:
    decision = _decided(rules, case)
    fields = set(decision.fields)
    assert fields <= set(case["action"]["fields"]) & set(case["agreement"]["granted_fields"])
    assert set(decision.classes) == {case["resource"]["fields"][field] for field in fields}
    assert (decision.effect is Effect.PERMIT) == bool(fields)


@_examples
@given(_cases, st.integers(0, 2**32))
def test_the_order_of_lists_is_irrelevant(rules: Any, case: dict[str, Any], seed: int) -> None:
    assert _decided(rules, _shuffled(case, random.Random(seed))) == _decided(rules, case)


def _shuffled(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict):
        return {name: _shuffled(member, draw) for name, member in value.items()}
    if isinstance(value, list):
        return draw.sample([_shuffled(item, draw) for item in value], len(value))
    return value


@_examples
@given(_cases, st.floats(0, 1))
def test_an_answer_is_constant_until_valid_until(rules: Any, case: dict[str, Any], part: float) -> None:
    decision, now = _decided(rules, case), case["context"]["now"]
    if decision.valid_until:
        last = decision.valid_until - 1
        for instant in (now, now + int((last - now) * part), last):
            assert _decided(rules, _at(case, instant)) == decision


def test_an_answer_before_the_term_ends_when_the_term_begins(rules: Any) -> None:
    case = agreed_case()
    starts_at, ends_at = case["agreement"]["starts_at"], case["agreement"]["ends_at"]
    seen = [_decided(rules, _at(case, now)).valid_until for now in (starts_at - 1, starts_at, ends_at - 1, ends_at)]
    assert seen == [starts_at, ends_at, ends_at, case["subject"]["qualified_until"]]


@settings(_examples, max_examples=8)
@given(st.lists(st.tuples(st.integers(0, 5), _instants), min_size=5, max_size=20))
async def test_remembering_changes_no_answer(embedded: EmbeddedRego, asked: list[tuple[int, int]]) -> None:
    remembering, forgetful = DecisionPoint(embedded), DecisionPoint(embedded, memo_capacity=0)
    for number, now in asked:
        case = _at(_WELL_TYPED[number], now)
        assert await remembering.decide(case) == await forgetful.decide(copy.deepcopy(case))

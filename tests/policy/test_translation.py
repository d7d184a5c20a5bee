"""The translation of the rules to formulas says what the engines say, and is about what the door lets in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import z3

from gateway.errors import Invalid
from gateway.policy.case import read_case
from gateway.policy.rego import CompiledRules
from tests.policy.cases import agreed_case, generated_cases
from tests.policy.conftest import POLICIES
from tests.policy.embedded import decide
from tests.policy.smt.documents import document_of, substitution
from tests.policy.smt.shape import INPUT
from tests.policy.smt.syntax import Untranslatable, read_rules
from tests.policy.smt.translate import Translation
from tests.policy.smt.unknown import Bounded
from tests.policy.smt.values import Number, Optional, Record, Text, Value, members_of, resolved, stated

MOST = 3
COUNT = 45


class Translated:
    """The decision about an unknown input, built once; then answers are put in."""

    def __init__(self, opa: Path) -> None:
        self._names = Bounded(MOST)
        self._unknown = self._names.document(INPUT)
        self._translation = Translation(read_rules(opa, POLICIES), self._unknown, self._names.text)
        self._formulas: dict[str, Any] = {}

    def says(self, case: Any, part: str, said: Any) -> bool:
        """Whether a part of the decision is, or as a list contains, this. It must be certain either way."""
        put_in: list[tuple[Any, Any]] = []
        symbols = self._symbols(said, put_in)
        name = f"{part} {symbols}"
        if name not in self._formulas:
            self._formulas[name] = self._translation.holds("decision", lambda value: self._is(value, part, symbols))
        formula = z3.substitute(self._formulas[name], *put_in, *substitution(self._unknown, case, self._names))
        certain = z3.simplify(formula)
        assert z3.is_true(certain) or z3.is_false(certain), certain
        return bool(z3.is_true(certain))

    def _is(self, decision: Value, part: str, symbols: Any) -> Any:
        assert isinstance(decision, Record)
        value = decision.members[part]
        if part in {"effect", "valid_until"}:
            return stated(symbols, value, self._names.text)
        said = partial(stated, symbols, text=self._names.text)
        return resolved(value, lambda several: members_of(several).exists(said))

    def _symbols(self, said: Any, put_in: list[tuple[Any, Any]]) -> Any:
        """The same JSON with a symbol for each name and integer, so that one formula serves many answers."""
        if isinstance(said, dict):
            return {name: self._symbols(member, put_in) for name, member in said.items()}
        if isinstance(said, list):
            return [self._symbols(member, put_in) for member in said]
        if isinstance(said, bool):
            return said
        symbol = z3.Int(f"said {len(put_in)}")
        put_in.append((symbol, z3.IntVal(self._names.code(said) if isinstance(said, str) else said)))
        return Text(symbol) if isinstance(said, str) else Number(symbol)


def _cut(value: Any, *, is_map: bool = False) -> Any:
    """The document with at most MOST members in each list, and in each object that may have any number."""
    if isinstance(value, list):
        return [_cut(item) for item in value[:MOST]]
    if isinstance(value, Mapping):
        members = list(value.items())[: MOST if is_map else None]
        return {name: _cut(member, is_map=name in {"fields", "grades", "confidential"}) for name, member in members}
    return value


def _well_typed() -> Iterator[Any]:
    for number, case in enumerate(generated_cases(11, COUNT)):
        if number % 3:
            yield _cut(case)


def test_the_translation_with_random_inputs_put_in_is_what_the_engine_answers(
    opa_binary: Path, rules: CompiledRules
) -> None:
    translated, effects, codes = Translated(opa_binary), set(), set()
    for case in _well_typed():
        answer = decide(rules, case)
        effects.add(answer["effect"])
        codes |= {json.dumps(reason) for reason in answer["reasons"]}
        for effect in ("permit", "deny"):
            assert translated.says(case, "effect", effect) == (answer["effect"] == effect), case
        for part in ("fields", "classes", "reasons", "obligations"):
            assert all(translated.says(case, part, one) for one in answer[part]), (case, part)
        for name in case["action"]["fields"]:
            assert translated.says(case, "fields", name) == (name in answer["fields"]), case
        for reason in map(json.loads, codes):
            assert translated.says(case, "reasons", reason) == (reason in answer["reasons"]), case
        assert translated.says(case, "valid_until", answer["valid_until"]), case
        assert not translated.says(case, "valid_until", answer["valid_until"] + 1), case
    assert effects == {"permit", "deny"}


def test_what_the_door_lets_in_is_among_the_inputs_that_it_is_about() -> None:
    names = Bounded(2)
    unknown = names.document(INPUT)
    solver = z3.Solver()
    solver.add(names.axioms(), *_all_present(unknown))
    assert solver.check() == z3.sat
    document, agreed = document_of(unknown, solver.model(), names), agreed_case()
    assert _places(document) >= _places(agreed)
    document["resource"] = agreed["resource"]  # values from closed lists are any words here
    document["action"]["includes"] = agreed["action"]["includes"]
    document["agreement"] |= {name: agreed["agreement"][name] for name in _CLOSED}
    read_case(document)
    with pytest.raises(Invalid):
        read_case({**document, "more": "x"})


def _all_present(value: Value) -> Iterator[Any]:
    match value:
        case Record(members):
            for member in members.values():
                yield from _all_present(member)
        case Optional(present, member):
            yield present
            yield from _all_present(member)
        case _ if getattr(value, "slots", ()):
            for present, *_, member in value.slots:  # type: ignore[union-attr]
                yield present
                yield from _all_present(member)


_CLOSED = ("onward", "frequency", "volume", "signed_messages")
_MAPS = {"/resource/fields", "/resource/grades", "/resource/confidential"}


def _places(value: Any, path: str = "") -> set[str]:
    if isinstance(value, Mapping):
        inner = [_places(member, f"{path}/{name}") for name, member in value.items() if path not in _MAPS]
        return {path}.union(*inner)
    if isinstance(value, list):
        return {path}.union(*(_places(member, path) for member in value))
    return {path}


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ('met contains "X" if startswith(input.action.name, "a")', "startswith"),
        ('met contains concat("", input.action.fields) if true', "concat"),
        ('met contains "X" if count(input.holds) > 1', "count"),
        ('met contains "X" if input.agreement.extra == "a"', "no member extra"),
        ('met contains "X" if { some i; input.holds[i].state == "lifted" }', "some"),
        ('met contains "X" if input.holds[0].state == "lifted"', "Collection at a Number"),
        ('met contains "X" if valid_until == 0 with input.holds as []', "with"),
        ('met contains "X" if part.X\n\npart.X.is if input.action.name == "a"', "without the member"),
        ('met contains "X" if { some x in part; x }\n\npart.X.is if input.action.name == "a"', "without the member"),
        ('met contains "X" if part.X.are\n\npart.X.is if input.action.name == "a"', "another member"),
        ('met contains "X" if part.X.is\n\npart.X.is contains y if some y in input.holds', "head"),
        ('met contains "X" if part.X.is\n\npart.X.is.it if input.action.name == "a"', "head"),
    ],
)
def test_what_it_does_not_know_is_refused(opa_binary: Path, tmp_path: Path, text: str, construct: str) -> None:
    (tmp_path / "x.rego").write_text(f"package gateway.access\n\nvalid_until := 0\n\n{text}\n")
    with pytest.raises(Untranslatable, match=construct):
        _translated(opa_binary, tmp_path)


def _translated(opa: Path, folder: Path) -> Any:
    names = Bounded(1)
    translation = Translation(read_rules(opa, folder), names.document(INPUT), names.text)
    return translation.holds("met", lambda met: members_of(met).exists(lambda _: z3.BoolVal(True)))


def test_rules_of_another_package_are_refused(opa_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "x.rego").write_text("package gateway.other\n\nx := 1\n")
    with pytest.raises(Untranslatable, match="package"):
        read_rules(opa_binary, tmp_path)

"""An unknown input and the answer to it, in the words that a claim is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.policy.smt.translate import Translation
from tests.policy.smt.unknown import Unknown
from tests.policy.smt.values import (
    TRUE,
    Continuation,
    Formula,
    Number,
    Record,
    Text,
    Value,
    all_of,
    contains,
    either,
    equal,
    members_of,
    resolved,
)


@dataclass(frozen=True)
class Asked:
    """An unknown input with the policy's answer to it."""

    document: Value
    translation: Translation
    names: Unknown

    def at(self, path: str) -> Value:
        """A member of the input, by dotted path."""
        return member_at(self.document, path)

    def number(self, path: str) -> Any:
        """An integer of the input."""
        value = self.at(path)
        assert isinstance(value, Number)
        return value.expression

    def text(self, constant: str) -> Text:
        """A string that is spelt out."""
        return self.names.text(constant)

    def is_one_of(self, path: str, *constants: str) -> Formula:
        """Whether a name of the input is one of these."""
        return either(equal(self.at(path), self.text(constant)) for constant in constants)

    def answers(self, effect: str) -> Formula:
        """Whether the answer has this effect."""
        return self._said(lambda answer: equal(answer["effect"], self.text(effect)))

    def releases(self, name: Value) -> Formula:
        """Whether the answer is a permit with this field."""
        return self._said(
            lambda answer: all_of(
                [
                    lambda: equal(answer["effect"], self.text("permit")),
                    lambda: _in(answer["fields"], name),
                ]
            )
        )

    def has_any(self, part: str) -> Formula:
        """Whether a list of the answer has any member."""
        return self._said(lambda answer: _any(answer[part], lambda _: TRUE))

    def gives_reason(self, code: Value) -> Formula:
        """Whether a reason of the answer has this code."""
        return self._said(lambda answer: _any(answer["reasons"], lambda reason: equal(member_at(reason, "code"), code)))

    def is_valid_until(self, instant: Any) -> Formula:
        """Whether this is the answer's `valid_until`."""
        return self._said(lambda answer: equal(answer["valid_until"], Number(instant)))

    def obliges(self, kind: str, k: Callable[[Mapping[str, Value]], Formula]) -> Formula:
        """Whether the answer has an obligation of this type of whose members `k` holds."""

        def is_it(obligation: Value) -> Formula:
            assert isinstance(obligation, Record)
            members = obligation.members
            return all_of([lambda: equal(members["type"], self.text(kind)), lambda: k(members)])

        return self._said(lambda answer: _any(answer["obligations"], is_it))

    def _said(self, k: Callable[[Mapping[str, Value]], Formula]) -> Formula:
        def of_answer(answer: Value) -> Formula:
            assert isinstance(answer, Record)
            return k(answer.members)

        return self.translation.holds("decision", of_answer)


def _any(several: Value, k: Continuation) -> Formula:
    return resolved(several, lambda value: members_of(value).exists(k))


def _in(several: Value, member: Value) -> Formula:
    return resolved(several, lambda value: contains(members_of(value), member))


def member_at(value: Value, path: str) -> Value:
    """A member of an object, by dotted path."""
    for name in path.split("."):
        assert isinstance(value, Record)
        value = value.members[name]
    return value

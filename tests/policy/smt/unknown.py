"""Unknown inputs: every input there is, as z3 symbols in a given shape.

`Unbounded` speaks of lists and objects of any length, as predicates over their members: what is proven of it holds
for all inputs. `Bounded` has a few slots for each list, which can be absent: what it finds is a whole JSON document.
Both are built by the same rules, so a proof and a counter-example are about the same input.

A *variation* of an input is the same input with some members changed: `{path: change}`, where `change(old, new)` is
made of the old value and one that may be anything. Paths are dotted; `subject.grants` is presence in that list, and
`subject.grants.datasets` presence in the lists inside it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import z3

from gateway.policy import NAME_PATTERN
from tests.policy.smt.shape import NAME, WHOLE, ListOf, MapOf, Maybe, Shape
from tests.policy.smt.values import (
    TRUE,
    Collection,
    Continuation,
    Dictionary,
    Formula,
    Number,
    Optional,
    Record,
    Text,
    Value,
    both,
    either,
)

Change = Callable[[Any, Any], Any]
Variation = Mapping[str, Change]

_SAFE: Final = re.compile(NAME_PATTERN)
_SPELT: Final = 100
LARGEST: Final = 2**53 - 1
_NOTHING: Final[Variation] = {}


class Unknown(ABC):
    """A supply of unknown inputs, and of the names that policy and input share."""

    def __init__(self, names: Any) -> None:
        self._names = names
        self._texts: dict[str, Any] = {}

    def text(self, constant: str) -> Text:
        """A string that the policy, or an answer, spells out."""
        return Text(self._texts.setdefault(constant, self._named(constant)), constant)

    def any_text(self, symbol: str) -> Text:
        """A string that may be anything."""
        return Text(z3.Const(symbol, self._names))

    def document(self, shape: Shape, variation: Variation = _NOTHING) -> Value:
        """The unknown input, or a variation of it."""
        return self._value(shape, "", (), variation)

    @abstractmethod
    def axioms(self) -> Formula:
        """What holds of every input of this supply."""

    @abstractmethod
    def _named(self, constant: str) -> Any: ...

    @abstractmethod
    def _list(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value: ...

    @abstractmethod
    def _map(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value: ...

    @abstractmethod
    def _plain(self, symbol: str, place: tuple[Any, ...], sort: Any) -> Any: ...

    def _value(self, shape: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        match shape:
            case ListOf(item):
                return self._list(item, path, place, variation)
            case MapOf(item):
                return self._map(item, path, place, variation)
            case Maybe(item):
                present = self._symbol(path, place, z3.BoolSort(), variation)
                return Optional(present, self._value(item, path, place, variation))
            case Mapping():
                inner = {name: self._value(one, _joined(path, name), place, variation) for name, one in shape.items()}
                return Record(inner, path or "input")
        if shape == NAME:
            return Text(self._symbol(path, place, self._names, variation))
        return Number(self._symbol(path, place, z3.IntSort(), variation))

    def _symbol(self, path: str, place: tuple[Any, ...], sort: Any, variation: Variation) -> Any:
        old = self._plain(path, place, sort)
        return variation[path](old, self._plain(f"{path}'", place, sort)) if path in variation else old


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class Unbounded(Unknown):
    """Lists and objects of any length: a member is whatever the predicate of its list holds of."""

    def __init__(self) -> None:
        super().__init__(z3.DeclareSort("Name"))
        self._fresh = count()
        self._rules: list[Formula] = []

    def axioms(self) -> Formula:
        """Strings that are spelt differently are different; integers are from 0 to 2**53 - 1."""
        constants = list(self._texts.values())
        return z3.And(z3.Distinct(*constants), *self._rules)

    def _named(self, constant: str) -> Any:
        return z3.Const(f'"{constant}"', self._names)

    def _plain(self, symbol: str, place: tuple[Any, ...], sort: Any) -> Any:
        if not place:
            return z3.Const(symbol, sort)
        return z3.Function(symbol, *(one.sort() for one in place), sort)(*place)

    def _symbol(self, path: str, place: tuple[Any, ...], sort: Any, variation: Variation) -> Any:
        said = super()._symbol(path, place, sort, variation)
        if not place and z3.is_int(said):
            self._rules.append(_whole(Number(said)))
        return said

    def _list(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        def exists(k: Continuation) -> Formula:
            member = self._any(self._sort(item, path))
            value = self._member(item, path, (*place, member), variation)
            present = self._symbol(path, (*place, member), z3.BoolSort(), variation)
            inside = z3.And(present, _whole(value))
            return z3.Exists([member], both(inside, lambda: k(value)))

        return Collection(False, exists)

    def _map(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        def exists(k: Callable[[Text, Value], Formula]) -> Formula:
            key = self._any(self._names)
            value = self._value(item, f"{path}.*", (*place, key), variation)
            present = self._symbol(path, (*place, key), z3.BoolSort(), variation)
            return z3.Exists([key], both(z3.And(present, _whole(value)), lambda: k(Text(key), value)))

        return Dictionary(exists)

    def _any(self, sort: Any) -> Any:
        return z3.Const(f"any-{next(self._fresh)}", sort)

    def _sort(self, item: Shape, path: str) -> Any:
        if item == NAME:
            return self._names
        return z3.IntSort() if item == WHOLE else z3.DeclareSort(f"Member of {path}")

    def _member(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        if item == NAME:
            return Text(place[-1])
        return Number(place[-1]) if item == WHOLE else self._value(item, path, place, variation)


def _whole(value: Value) -> Formula:
    """What the door asks of the integers in a list's member: others are not in the list."""
    match value:
        case Number(expression):
            return z3.And(expression >= 0, expression <= LARGEST)
        case Record(members):
            parts = [_whole(member) for member in members.values()]
            return z3.And(parts) if parts else TRUE
    return TRUE


class Bounded(Unknown):
    """At most `most` members in each list and object; names are numbers, those that the policy spells out from 100 on.

    What the door lets no name be has a number below zero, which no name of the input has.
    """

    def __init__(self, most: int) -> None:
        super().__init__(z3.IntSort())
        self._most = most
        self._rules: list[Formula] = []

    def axioms(self) -> Formula:
        """Integers are from 0 to 2**53 - 1; no object has a key twice."""
        return z3.And(self._rules) if self._rules else TRUE

    def spelt(self, code: int) -> str:
        """The name that a number stands for."""
        known = {value.as_long(): text for text, value in self._texts.items()}
        return known.get(code, f"name-{code}")

    def code(self, text: str) -> int:
        """The number that stands for a name."""
        return int(self.text(text).expression.as_long())

    def _named(self, constant: str) -> Any:
        number = _SPELT + len(self._texts)
        return z3.IntVal(number if _SAFE.fullmatch(constant) else -1 - number)

    def _plain(self, symbol: str, place: tuple[Any, ...], sort: Any) -> Any:
        return z3.Const(symbol + "".join(f"[{one}]" for one in place), sort)

    def _symbol(self, path: str, place: tuple[Any, ...], sort: Any, variation: Variation) -> Any:
        said = super()._symbol(path, place, sort, variation)
        if z3.is_int(said):
            self._rules.append(_whole(Number(said)))
        return said

    def _list(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        slots = []
        for number in range(self._most):
            inner = (*place, number)
            present = self._symbol(path, inner, z3.BoolSort(), variation)
            member = path if isinstance(item, Mapping) else f"{path}.*"
            slots.append((present, self._value(item, member, inner, variation)))
        known = tuple(slots)
        return Collection(False, lambda k: either(both(p, lambda v=v: k(v)) for p, v in known), known)  # type: ignore[misc]

    def _map(self, item: Shape, path: str, place: tuple[Any, ...], variation: Variation) -> Value:
        slots: list[tuple[Formula, Text, Value]] = []
        for number in range(self._most):
            inner = (*place, number)
            key = Text(self._plain(f"{path}.key", inner, self._names))
            present = self._symbol(path, inner, z3.BoolSort(), variation)
            self._rules += [z3.Implies(z3.And(present, p), key.expression != k.expression) for p, k, _ in slots]
            self._rules.append(key.expression >= 0)
            slots.append((present, key, self._value(item, f"{path}.*", inner, variation)))
        known = tuple(slots)
        return Dictionary(
            lambda k: either(both(p, lambda key=key, v=v: k(key, v)) for p, key, v in known),  # type: ignore[misc]
            known,
        )

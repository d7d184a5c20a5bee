"""What a Rego term can be while its input is unknown: z3 expressions in the shapes of JSON.

A collection is known by one question alone: is there a member of which `k` holds? That is enough for `in`, `some`,
`every`, `not`, comprehensions and `count(x) == 0`, and it says the same for three members and for any number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Final

import z3

from tests.policy.smt.syntax import Untranslatable

Formula = Any
"""A z3 expression of sort Bool."""

TRUE: Formula = z3.BoolVal(True)
FALSE: Formula = z3.BoolVal(False)


def both(one: Formula, other: Callable[[], Formula]) -> Formula:
    """`one ∧ other`; the other is not even built where the first is plainly false."""
    return all_of([lambda: one, other])


def all_of(several: Iterable[Callable[[], Formula]]) -> Formula:
    """The conjunction; nothing is built behind what is plainly false."""
    parts = []
    for build in several:
        one = build()
        if z3.is_false(one):
            return FALSE
        if not z3.is_true(one):
            parts.append(one)
    return TRUE if not parts else parts[0] if len(parts) == 1 else z3.And(parts)


def either(several: Iterable[Formula]) -> Formula:
    """The disjunction."""
    parts = []
    for one in several:
        if z3.is_true(one):
            return TRUE
        if not z3.is_false(one):
            parts.append(one)
    return FALSE if not parts else parts[0] if len(parts) == 1 else z3.Or(parts)


def no(one: Formula) -> Formula:
    """The negation."""
    return FALSE if z3.is_true(one) else TRUE if z3.is_false(one) else z3.Not(one)


@dataclass(frozen=True)
class Text:
    """A string; `constant` if the policy itself spells it out."""

    expression: Any
    constant: str | None = None


@dataclass(frozen=True)
class Number:
    """An integer."""

    expression: Any


@dataclass(frozen=True)
class Truth:
    """A boolean."""

    formula: Formula


@dataclass(frozen=True)
class Record:
    """An object whose members are known; `path` names it where it is part of the input."""

    members: Mapping[str, Value]
    path: str | None = None


@dataclass(frozen=True, eq=False)
class Collection:
    """An array or a set. `slots`: presence and value of each member where the model is bounded."""

    is_set: bool
    exists: Callable[[Continuation], Formula]
    slots: tuple[tuple[Formula, Value], ...] = ()


@dataclass(frozen=True, eq=False)
class Dictionary:
    """An object whose members are not known: is there a pair of key and value of which `k` holds?"""

    exists: Callable[[Callable[[Text, Value], Formula]], Formula]
    slots: tuple[tuple[Formula, Text, Value], ...] = ()


@dataclass(frozen=True)
class Counted:
    """`count(collection)`: known only as far as it is compared with nothing at all."""

    collection: Collection


@dataclass(frozen=True, eq=False)
class Deferred:
    """The value of a rule that is defined: worked out where it is asked about, not where it is passed on."""

    holds: Callable[[Continuation], Formula]


@dataclass(frozen=True, eq=False)
class Optional:
    """A member of an object that may be absent; what asks about it is undefined then."""

    present: Formula
    value: Value


Value = Text | Number | Truth | Record | Collection | Dictionary | Counted | Deferred | Optional
Continuation = Callable[[Value], Formula]


def resolved(value: Value, k: Continuation) -> Formula:
    """That `k` holds of the value itself."""
    match value:
        case Deferred(holds):
            return holds(k)
        case Optional(present, member):
            return both(present, lambda: k(member))
    return k(value)


def listed(members: Iterable[Value], *, is_set: bool) -> Collection:
    """The collection of exactly these."""
    known = tuple(members)
    return Collection(is_set, lambda k: either(resolved(member, k) for member in known))


def members_of(value: Value) -> Collection:
    """What `in`, `some` and `every` run over: members of arrays and sets, values of objects."""
    match value:
        case Collection():
            return value
        case Record(members):
            return listed(members.values(), is_set=False)
        case Dictionary(exists):
            return Collection(False, lambda k: exists(lambda _, member: k(member)))
    raise Untranslatable(f"Members of a {type(value).__name__}.")


def keys_of(value: Value, text: Callable[[str], Text]) -> Collection:
    """`object.keys`."""
    match value:
        case Record(members):
            return listed(map(text, members), is_set=True)
        case Dictionary(exists):
            return Collection(True, lambda k: exists(lambda key, _: k(key)))
    raise Untranslatable(f"Keys of a {type(value).__name__}.")


def contains(collection: Collection, sought: Value) -> Formula:
    """Whether it has this member."""
    return collection.exists(lambda member: equal(member, sought))


def equal(one: Value, other: Value) -> Formula:
    """`==`; values of different types are not equal, in both engines."""
    match one, other:
        case Deferred(), _:
            return one.holds(lambda value: equal(value, other))
        case _, Deferred():
            return other.holds(lambda value: equal(one, value))
        case Text(_, str() as first), Text(_, str() as second):
            return TRUE if first == second else FALSE
        case Text(), Text():
            return one.expression == other.expression
        case Number(first), Number(second):
            return first == second
        case Truth(first), Truth(second):
            return first == second
        case Record(first), Record(second):
            return _equal_records(first, second)
        case Collection(), Collection() if one.is_set and other.is_set:
            return both(_within(one, other), lambda: _within(other, one))
        case Counted(), Number(number):
            return _compared_with_none("equal", one, number)
    if type(one) is type(other) or isinstance(one, Counted) or isinstance(other, Counted):
        raise Untranslatable(f"Equality of two values of type {type(one).__name__}, {type(other).__name__}.")
    return FALSE


def _within(one: Collection, other: Collection) -> Formula:
    return no(one.exists(lambda member: no(contains(other, member))))


def _equal_records(one: Mapping[str, Value], other: Mapping[str, Value]) -> Formula:
    if one.keys() != other.keys():
        return FALSE
    said: Formula = TRUE
    for name, member in one.items():
        said = both(said, lambda member=member, name=name: equal(member, other[name]))  # type: ignore[misc]
    return said


_ORDERS: Final = {"lt": lt, "lte": le, "gt": gt, "gte": ge}


def ordered(operator: str, one: Value, other: Value) -> Formula:
    """`lt`, `lte`, `gt`, `gte` of integers, and of a count with the bound that means none or some."""
    match one, other:
        case Number(first), Number(second):
            return {"lt": first < second, "lte": first <= second, "gt": first > second, "gte": first >= second}[
                operator
            ]
        case Counted(), Number(number):
            return _compared_with_none(operator, one, number)
    raise Untranslatable(f"Order of {type(one).__name__} and {type(other).__name__}.")


def _compared_with_none(operator: str, counted: Counted, number: Any) -> Formula:
    bound = number.as_long() if z3.is_int_value(number) else None
    some = counted.collection.exists(lambda _: TRUE)
    if (operator, bound) in {("gt", 0), ("gte", 1)}:
        return some
    if (operator, bound) in {("equal", 0), ("lt", 1), ("lte", 0)}:
        return no(some)
    raise Untranslatable(f"A count compared ({operator}) with anything but none.")


def stated(answer: Any, value: Value, text: Callable[[str], Text]) -> Formula:
    """Whether `value` is the JSON `answer`; arrays are compared as sets, for that is how the gateway reads them.

    A name or integer of the answer may be a symbol, to be put in later.
    """
    if isinstance(answer, Text | Number):
        return equal(value, answer)
    match value:
        case Deferred(holds):
            return holds(lambda known: stated(answer, known, text))
        case Text() if isinstance(answer, str):
            return equal(value, text(answer))
        case Truth(formula) if isinstance(answer, bool):
            return formula if answer else no(formula)
        case Number(expression) if isinstance(answer, int) and not isinstance(answer, bool):
            return expression == z3.IntVal(answer)
        case Record(members) if isinstance(answer, dict):
            if members.keys() != answer.keys():
                return FALSE
            return z3.And([stated(answer[name], member, text) for name, member in members.items()])
        case Collection() if isinstance(answer, list):
            each = [value.exists(lambda member, one=one: stated(one, member, text)) for one in answer]  # type: ignore[misc]
            return z3.And([*each, no(value.exists(lambda member: no(either(stated(a, member, text) for a in answer))))])
    return FALSE

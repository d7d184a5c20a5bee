"""Between z3's models and JSON: an input out of a counter-example, and an input put in for the unknown one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import z3

from tests.policy.smt.unknown import Bounded
from tests.policy.smt.values import Collection, Dictionary, Number, Optional, Record, Text, Value


def document_of(value: Value, model: Any, names: Bounded) -> Any:
    """The JSON that a model gives a bounded unknown."""
    match value:
        case Text(expression):
            return names.spelt(_number(model, expression))
        case Number(expression):
            return _number(model, expression)
        case Record(members):
            return {
                name: document_of(member, model, names)
                for name, member in members.items()
                if not isinstance(member, Optional) or _is_true(model, member.present)
            }
        case Optional(_, member):
            return document_of(member, model, names)
        case Collection(_, _, slots):
            return [document_of(member, model, names) for present, member in slots if _is_true(model, present)]
        case Dictionary(_, slots):
            return {
                document_of(key, model, names): document_of(member, model, names)
                for present, key, member in slots
                if _is_true(model, present)
            }
    raise TypeError(f"No JSON for a {type(value).__name__}.")


def _number(model: Any, expression: Any) -> int:
    return int(model.eval(expression, model_completion=True).as_long())


def _is_true(model: Any, formula: Any) -> bool:
    return bool(z3.is_true(model.eval(formula, model_completion=True)))


class TooLarge(Exception):
    """The document has more members than the unknown one has slots."""


def substitution(value: Value, document: Any, names: Bounded) -> Iterator[tuple[Any, Any]]:
    """What to put in for every symbol of a bounded unknown to make it this document; `TooLarge`."""
    match value:
        case Text(expression):
            yield expression, z3.IntVal(names.code(document))
        case Number(expression):
            yield expression, z3.IntVal(document)
        case Record(members):
            for name, member in members.items():
                if isinstance(member, Optional):
                    yield member.present, z3.BoolVal(name in document)
                if name in document:
                    yield from substitution(member, document[name], names)
        case Optional(_, member):
            yield from substitution(member, document, names)
        case Collection(_, _, slots):
            _fits(document, slots)
            for number, (present, member) in enumerate(slots):
                yield present, z3.BoolVal(number < len(document))
                if number < len(document):
                    yield from substitution(member, document[number], names)
        case Dictionary(_, slots):
            _fits(document, slots)
            for (present, key, member), name in zip(slots, document, strict=False):
                yield present, z3.BoolVal(True)
                yield key.expression, z3.IntVal(names.code(name))
                yield from substitution(member, document[name], names)
            yield from ((present, z3.BoolVal(False)) for present, _, _ in slots[len(document) :])


def _fits(document: Any, slots: Any) -> None:
    if len(document) > len(slots):
        raise TooLarge(f"{len(document)} members.")

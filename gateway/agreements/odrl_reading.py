"""How the parts of an ODRL document are read: strictly, with a refusal that names what cannot be expressed, and where.

`Invalid` with code `odrl_not_expressible` where the document says something that terms cannot say (an action, an
operand, an operator, a member), `odrl_member_missing` where it does not say what terms must, `odrl_malformed`
otherwise. `field` is a JSON pointer into the document (RFC 6901).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.agreements.odrl_words import ODRL
from gateway.errors import Invalid

Json = dict[str, Any]
_SHOWN = 80
_MOST = 256


def inexpressible(at: str, what: str) -> Invalid:
    """The refusal of something that terms cannot say."""
    return Invalid(
        "odrl_not_expressible",
        f"Terms cannot express this: {_quotable(what)}.",
        field=at or "/",
        remedy="Leave it out, or say it in words in ag:rightsAndDuties.",
    )


def missing(at: str, what: str) -> Invalid:
    """The refusal of a document that leaves out what terms must say."""
    return Invalid("odrl_member_missing", f"Terms must say this: {what}.", field=at)


def malformed(at: str, expected: str) -> Invalid:
    """The refusal of a value of another kind."""
    return Invalid("odrl_malformed", f"Expected {expected}.", field=at or "/")


def below(at: str, name: str) -> str:
    """The pointer of a member."""
    return f"{at}/{_quotable(name).replace('~', '~0').replace('/', '~1')}"


def members(value: Any, at: str, must: Sequence[str], may: Sequence[str] = ()) -> Json:
    """An object with these members and no others."""
    if not isinstance(value, dict):
        raise malformed(at, "an object")
    for name in value:
        if name not in must and name not in may:
            raise inexpressible(below(at, name), f"the member {name}")
    for name in must:
        if name not in value:
            raise missing(below(at, name), name)
    return value


def several(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Each item with its pointer; one that stands alone is an array of one, as in all JSON-LD."""
    if not isinstance(value, list):
        yield at, value
        return
    if len(value) > _MOST:
        raise malformed(at, f"at most {_MOST} items")
    for place, item in enumerate(value):
        yield f"{at}/{place}", item


def is_term(value: Any) -> bool:
    """Whether this is the name of a term, alone or as an `@id`."""
    return isinstance(value["@id"] if isinstance(value, dict) and value.keys() == {"@id"} else value, str)


def term(value: Any, at: str) -> str:
    """A term of the vocabulary in its short form: `use` for `odrl:use` and for its full address."""
    if not is_term(value):
        raise malformed(at, "a term")
    name: str = value["@id"] if isinstance(value, dict) else value
    return name.removeprefix("odrl:").removeprefix(ODRL)


def named(value: Any, at: str, prefix: str) -> str:
    """The id of something of the gateway's, behind its prefix."""
    found = term(value, at)
    if not found.startswith(prefix):
        raise inexpressible(at, f"a name that does not begin with {prefix}")
    return found.removeprefix(prefix)


def typed(value: Any, at: str, type_: str) -> str:
    """The text of a typed value (`{"@type","@value"}`)."""
    members(value, at, ("@type", "@value"))
    if value["@type"] != type_ or not isinstance(value["@value"], str):
        raise malformed(at, f"a value of type {type_}")
    return str(value["@value"])


def constraints(value: Any, at: str, known: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, Json]]:
    """Each constraint with its pointer, by left operand and operator; unknown ones and second ones are refused."""
    found: dict[tuple[str, str], tuple[str, Json]] = {}
    for here, one in several(value, at):
        key = constrained(one, here, known)
        if key in found:
            raise inexpressible(here, f"a second constraint on {key[0]} {key[1]}")
        found[key] = (here, one)
    return found


def constrained(one: Any, at: str, known: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """A constraint's left operand and operator, which are among the known ones."""
    if isinstance(one, dict):
        for logic in ("or", "xone", "and", "andSequence"):
            if logic in one:
                raise inexpressible(below(at, logic), f"the logical constraint {logic}")
    members(one, at, ("leftOperand", "operator", "rightOperand"), ("ag:perSeconds", "ag:of"))
    left, operator = term(one["leftOperand"], f"{at}/leftOperand"), term(one["operator"], f"{at}/operator")
    if left not in {name for name, _ in known}:
        raise inexpressible(f"{at}/leftOperand", f"the left operand {left}")
    if (left, operator) not in known:
        raise inexpressible(f"{at}/operator", f"the operator {operator} with {left}")
    return left, operator


def only(one: Json, at: str, *more: str) -> Any:
    """A constraint's right operand; of the profile's own members it has exactly these."""
    members(one, at, ("leftOperand", "operator", "rightOperand", *more))
    return one["rightOperand"]


def _quotable(name: str) -> str:
    return str(name).encode("ascii", "backslashreplace").decode()[:_SHOWN]

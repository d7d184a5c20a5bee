"""Rego to z3, for any rules of the portable profile: nothing here knows what this policy asks.

Every term is translated together with what is to hold of its value (`k`), so that undefined is simply false, and
several values (`some`) are a disjunction. What is not known here is refused (`Untranslatable`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import z3

from tests.policy.smt.syntax import PACKAGE, Literal, Rule, Rules, Term, Untranslatable, variables
from tests.policy.smt.values import (
    FALSE,
    TRUE,
    Collection,
    Continuation,
    Counted,
    Deferred,
    Dictionary,
    Formula,
    Number,
    Record,
    Text,
    Truth,
    Value,
    all_of,
    both,
    contains,
    either,
    equal,
    keys_of,
    listed,
    members_of,
    no,
    ordered,
    resolved,
)

Scope = Mapping[str, Value]
_ORDER: Final = {"lt", "lte", "gt", "gte"}
_TYPES: Final = {
    "is_string": Text,
    "is_number": Number,
    "is_boolean": Truth,
    "is_array": Collection,
    "is_object": (Record, Dictionary),
}


class Translation:
    """The rules applied to one (unknown) input."""

    def __init__(self, rules: Rules, document: Value, text: Callable[[str], Text]) -> None:
        self._rules = rules
        self._document = document
        self._text = text
        self._bodies: dict[Rule, Formula] = {}
        self._defined: dict[str, Formula] = {}

    def holds(self, name: str, k: Continuation) -> Formula:
        """That the rule `name` is defined, with a value of which `k` holds."""
        return self._rule(name, k)

    def _rule(self, name: str, k: Continuation) -> Formula:
        rules = self._rules[name]
        if rules[0].args is not None:
            raise Untranslatable(f"The function {name} as a value.")
        if rules[0].member is not None:
            raise Untranslatable(f"{name} without the member that its rules state.")
        if rules[0].key is not None and rules[0].value is None:
            return k(Collection(True, partial(self._members, rules)))
        if rules[0].key is not None:
            return k(Dictionary(partial(self._pairs, rules)))
        if len(rules) == 1 and (only := rules[0]).value and only.is_unconditional:
            return self.term(only.value, {}, k)
        return self._complete(rules, k)

    def _members(self, rules: Sequence[Rule], k: Continuation) -> Formula:
        return either(self._head(rule, rule.key, k, {}) for rule in rules)

    def _pairs(self, rules: Sequence[Rule], k: Callable[[Text, Value], Formula]) -> Formula:
        def pair(rule: Rule) -> Formula:
            return self._stated(
                rule, [rule.key, rule.value], {}, lambda scope: self._pair(rule.key, rule.value, scope, k)
            )

        return either(map(pair, rules))

    def _pair(self, key: Term | None, value: Term | None, scope: Scope, k: Callable[[Text, Value], Formula]) -> Formula:
        if key is None or value is None:
            raise Untranslatable("An object's member without key or value.")

        def with_key(name: Value) -> Formula:
            if not isinstance(name, Text):
                raise Untranslatable("A key that is no string.")
            return self.term(value, scope, lambda member: k(name, member))

        return self.term(key, scope, with_key)

    def _complete(self, rules: Sequence[Rule], k: Continuation, scope: Scope | None = None) -> Formula:
        bodies = [rule for rule in rules if not rule.is_default]
        said = either(self._chain(rule, k, scope or {}) for rule in bodies)
        defaults = [rule.value for rule in rules if rule.is_default]
        if not defaults or defaults[0] is None:
            return said
        undefined = no(either(self._chain(rule, lambda _: TRUE, {}) for rule in bodies))
        default = defaults[0]
        return either([said, both(undefined, lambda: self.term(default, {}, k))])

    def _chain(self, rule: Rule, k: Continuation, scope: Scope) -> Formula:
        said = self._head(rule, rule.value, k, scope)
        if rule.otherwise is None:
            return said
        otherwise = rule.otherwise
        undefined = no(self._head(rule, rule.value, lambda _: TRUE, scope))
        return either([said, both(undefined, lambda: self._chain(otherwise, k, scope))])

    def _head(self, rule: Rule, head: Term | None, k: Continuation, scope: Scope) -> Formula:
        value = head or {"type": "boolean", "value": True}
        return self._stated(rule, [value], scope, lambda inner: self.term(value, inner, k))

    def _stated(
        self, rule: Rule, head: Sequence[Term | None], scope: Scope, then: Callable[[Scope], Formula]
    ) -> Formula:
        """That the body holds, and `then` of the head; a body that binds nothing of the head is built once."""
        if scope or set(variables(head)) & set(_bound(rule.body)):
            return self._body(rule.body, scope, then)
        if rule not in self._bodies:
            self._bodies[rule] = self._body(rule.body, {}, lambda _: TRUE)
        return both(self._bodies[rule], lambda: then({}))

    def _body(self, body: Sequence[Literal], scope: Scope, then: Callable[[Scope], Formula]) -> Formula:
        for number, statement in enumerate(body):
            if "with" in statement:
                raise Untranslatable("`with`.")
            if _binds(statement):
                conditions = [partial(self._condition, one, scope) for one in body[:number]]
                rest = partial(self._body, body[number + 1 :], then=then)
                return all_of([*conditions, partial(self._binding, statement, scope, rest)])
        return all_of([*(partial(self._condition, one, scope) for one in body), partial(then, scope)])

    def _binding(self, statement: Literal, scope: Scope, then: Callable[[Scope], Formula]) -> Formula:
        terms = statement["terms"]
        if isinstance(terms, Mapping):
            return self._some(terms["symbols"], scope, then)
        name = _variable(terms[1])
        return self.term(terms[2], scope, lambda value: then({**scope, name: value}))

    def _condition(self, statement: Literal, scope: Scope) -> Formula:
        terms = statement["terms"]
        if statement.get("negated"):
            return no(self._body([{"terms": terms}], scope, lambda _: TRUE))
        if isinstance(terms, Mapping) and "domain" in terms:
            return self._every(terms, scope)
        if isinstance(terms, list) and _operator(terms[0]) == "concat":
            return self._several(terms[1:], scope, _joins)
        return self.term({"type": "call", "value": terms} if isinstance(terms, list) else terms, scope, _is_true)

    def _some(self, symbols: Sequence[Any], scope: Scope, then: Callable[[Scope], Formula]) -> Formula:
        if (
            len(symbols) != 1
            or symbols[0]["type"] != "call"
            or _operator(symbols[0]["value"][0]) != "internal.member_2"
        ):
            raise Untranslatable("`some` other than `some x in xs`.")
        _, member, domain = symbols[0]["value"]
        name = _variable(member)
        return self.term(domain, scope, lambda xs: members_of(xs).exists(lambda x: then({**scope, name: x})))

    def _every(self, every: Literal, scope: Scope) -> Formula:
        if every["key"] is not None:
            raise Untranslatable("`every key, value in`.")
        name = _variable(every["value"])

        def breaks(member: Value) -> Formula:
            return no(self._body(every["body"], {**scope, name: member}, lambda _: TRUE))

        return self.term(every["domain"], scope, lambda xs: no(members_of(xs).exists(breaks)))

    def term(self, term: Term, scope: Scope, k: Continuation) -> Formula:
        """That the term is defined, with a value of which `k` holds."""
        kind: str = term["type"]
        value: Any = term.get("value")
        match kind:
            case "string":
                return k(self._text(str(value)))
            case "number" if isinstance(value, int):
                return k(Number(z3.IntVal(value)))
            case "boolean":
                return k(Truth(TRUE if value else FALSE))
            case "var":
                return self._variable(str(value), scope, k)
            case "ref":
                return self._reference(value, scope, k)
            case "call":
                return self._call(value, scope, k)
            case "array" | "set":
                return self._parts(value, scope, lambda members: k(listed(members, is_set=kind == "set")))
            case "object":
                return self._object(value, scope, k)
            case "arraycomprehension" | "setcomprehension":
                return k(Collection(kind == "setcomprehension", partial(self._comprehended, value, scope)))
            case "objectcomprehension":
                return k(Dictionary(partial(self._comprehended_pairs, value, scope)))
        raise Untranslatable(f"A term of type {kind}.")

    def _comprehended(self, comprehension: Any, scope: Scope, k: Continuation) -> Formula:
        return self._body(comprehension["body"], scope, lambda inner: self.term(comprehension["term"], inner, k))

    def _comprehended_pairs(self, whole: Any, scope: Scope, k: Callable[[Text, Value], Formula]) -> Formula:
        return self._body(whole["body"], scope, lambda inner: self._pair(whole["key"], whole["value"], inner, k))

    def _several(self, terms: Sequence[Term], scope: Scope, k: Callable[[Sequence[Value]], Formula]) -> Formula:
        def after(values: tuple[Value, ...]) -> Formula:
            if len(values) == len(terms):
                return k(values)
            return self.term(terms[len(values)], scope, lambda value: after((*values, value)))

        return after(())

    def _parts(self, terms: Sequence[Term], scope: Scope, k: Callable[[Sequence[Value]], Formula]) -> Formula:
        """The values of a literal's parts; of those that are rules, that they are defined."""

        def after(values: tuple[Value, ...]) -> Formula:
            if len(values) == len(terms):
                return k(values)
            term = terms[len(values)]
            if (name := self._complete_rule(term, scope)) is not None:
                value = Deferred(partial(self._rule, name))
                return both(self._is_defined(name), lambda: after((*values, value)))
            return self.term(term, scope, lambda value: after((*values, value)))

        return after(())

    def _complete_rule(self, term: Term, scope: Scope) -> str | None:
        """The name of the rule with one value that a term is, if it is one."""
        name = str(term["value"]) if term["type"] == "var" else ""
        rules = () if name in scope else self._rules.get(name, ())
        return name if rules and rules[0].key is None and rules[0].args is None else None

    def _is_defined(self, name: str) -> Formula:
        if any(rule.is_default for rule in self._rules[name]):
            return TRUE
        if name not in self._defined:
            self._defined[name] = self._rule(name, lambda _: TRUE)
        return self._defined[name]

    def _object(self, pairs: Any, scope: Scope, k: Continuation) -> Formula:
        if any(key["type"] != "string" for key, _ in pairs):
            raise Untranslatable("An object with a computed key.")
        names = [str(key["value"]) for key, _ in pairs]
        return self._parts(
            [value for _, value in pairs], scope, lambda values: k(Record(dict(zip(names, values, strict=True))))
        )

    def _variable(self, name: str, scope: Scope, k: Continuation) -> Formula:
        if name in scope:
            return k(scope[name])
        if name == "input":
            return k(self._document)
        if name in self._rules:
            return self._rule(name, k)
        raise Untranslatable(f"The variable {name} before it is bound.")

    def _reference(self, path: Sequence[Term], scope: Scope, k: Continuation) -> Formula:
        if path[0]["value"] == "data":
            if tuple(part["value"] for part in path[1 : 1 + len(PACKAGE)]) != PACKAGE:
                raise Untranslatable("`data` outside the policy's own package.")
            return self._reference([{"type": "var", "value": path[3]["value"]}, *path[4:]], scope, k)
        rules = () if path[0]["value"] in scope else self._rules.get(str(path[0]["value"]), ())
        if rules and rules[0].member is not None and len(path) > 2:
            return self._stated_member(rules, path, scope, k)
        return self.term(path[0], scope, lambda value: self._follow(value, path[1:], scope, k))

    def _stated_member(self, rules: Sequence[Rule], path: Sequence[Term], scope: Scope, k: Continuation) -> Formula:
        """`name[key].member`, by the rules that state it."""
        _, sought, member, *rest = path
        if member["type"] != "string" or any(rule.member != member["value"] for rule in rules):
            raise Untranslatable(f"{path[0]['value']} at another member than its rules state.")

        def at(key: Value) -> Formula:
            return either(both(equal(key, self._key_of(rule)), partial(value_of, rule)) for rule in rules)

        def value_of(rule: Rule) -> Formula:
            return self._head(rule, rule.value, lambda value: self._follow(value, rest, scope, k), {})

        return self.term(sought, scope, at)

    def _key_of(self, rule: Rule) -> Text:
        if rule.key is None or rule.key["type"] != "string":
            raise Untranslatable(f"{rule.name} at a key that is not spelt out.")
        return self._text(str(rule.key["value"]))

    def _follow(self, value: Value, path: Sequence[Term], scope: Scope, k: Continuation) -> Formula:
        if not path:
            return k(value)
        if isinstance(value, Record) and path[0]["type"] == "string":
            return self._named(value, str(path[0]["value"]), lambda got: self._follow(got, path[1:], scope, k))
        return self.term(
            path[0], scope, lambda key: self._member(value, key, lambda got: self._follow(got, path[1:], scope, k))
        )

    def _named(self, record: Record, name: str, k: Continuation) -> Formula:
        if name not in record.members and record.path is not None:
            raise Untranslatable(f"{record.path} has no member {name}: state it in tests/policy/smt/shape.py.")
        return resolved(record.members[name], k) if name in record.members else FALSE

    def _member(self, value: Value, key: Value, k: Continuation) -> Formula:
        match value, key:
            case Record(), Text(_, str() as name):
                return self._named(value, name, k)
            case Record(members), Text():
                return either(
                    both(equal(key, self._text(name)), partial(resolved, member, k)) for name, member in members.items()
                )
            case Dictionary(exists), Text():
                return exists(lambda name, member: both(equal(name, key), lambda: k(member)))
            case Collection(True, exists), _:
                return exists(lambda member: both(equal(member, key), lambda: k(member)))
        raise Untranslatable(f"A {type(value).__name__} at a {type(key).__name__}.")

    def _call(self, call: Sequence[Term], scope: Scope, k: Continuation) -> Formula:
        name = _operator(call[0])
        return self._several(call[1:], scope, lambda values: self._applied(name, values, k))

    def _applied(self, name: str, values: Sequence[Value], k: Continuation) -> Formula:
        if name in self._rules:
            return self._function(name, values, k)
        match name, values:
            case ("equal", (one, other)):
                return k(Truth(equal(one, other)))
            case ("neq", (one, other)):
                return k(Truth(no(equal(one, other))))
            case (_, (one, other)) if name in _ORDER:
                return k(Truth(ordered(name, one, other)))
            case ("internal.member_2", (member, collection)):
                return k(Truth(contains(members_of(collection), member)))
            case (_, (one,)) if name in _TYPES:
                return k(Truth(TRUE if _is_of_type(one, name) else FALSE))
            case ("count", (one,)):
                return k(Counted(members_of(one)))
            case ("object.keys", (one,)):
                return k(keys_of(one, self._text))
            case ("object.get", (one, key, default)):
                found = self._member(one, key, lambda _: TRUE)
                return either([self._member(one, key, k), both(no(found), lambda: k(default))])
            case ("minus", (Collection(True) as one, Collection(True) as other)):
                return k(_difference(one, other))
            case (_, (Number(one), Number(other))) if name in {"plus", "minus", "mul"}:
                return k(Number(one + other if name == "plus" else one - other if name == "minus" else one * other))
            case ("rem", (Number(one), Number(other))) if z3.is_int_value(other) and other.as_long() == 1:
                return k(Number(z3.IntVal(0)))
        raise Untranslatable(f"The function {name} of {', '.join(type(value).__name__ for value in values)}.")

    def _function(self, name: str, values: Sequence[Value], k: Continuation) -> Formula:
        rules = self._rules[name]
        if any(rule.args is None or rule.is_default or len(rule.args) != len(values) for rule in rules):
            raise Untranslatable(f"The function {name} with {len(values)} arguments, or with a default.")
        return either(
            self._chain(rule, k, dict(zip(map(_variable, rule.args or ()), values, strict=True))) for rule in rules
        )


def _difference(one: Collection, other: Collection) -> Collection:
    return Collection(True, lambda k: one.exists(lambda member: both(no(contains(other, member)), lambda: k(member))))


def _joins(values: Sequence[Value]) -> Formula:
    """That `concat` is defined: an array of strings is joined, and nothing else. What it says is never asked."""
    match values:
        case (Text(), Collection(False, exists)):
            return no(exists(lambda member: FALSE if isinstance(member, Text) else TRUE))
    return FALSE


def _is_of_type(value: Value, name: str) -> bool:
    expected: Any = _TYPES[name]
    return isinstance(value, expected) and not (isinstance(value, Collection) and value.is_set)


def _is_true(value: Value) -> Formula:
    return value.formula if isinstance(value, Truth) else TRUE


def _operator(term: Term) -> str:
    return ".".join(str(part["value"]) for part in term["value"])


def _variable(term: Term) -> str:
    if term["type"] != "var":
        raise Untranslatable(f"A {term['type']} where a variable is bound.")
    return str(term["value"])


def _binds(statement: Literal) -> bool:
    terms = statement["terms"]
    if statement.get("negated"):
        return False
    return "symbols" in terms if isinstance(terms, Mapping) else _operator(terms[0]) == "assign"


def _bound(body: Sequence[Literal]) -> Iterator[str]:
    """The variables that the statements of a body bind."""
    for statement in filter(_binds, body):
        terms = statement["terms"]
        if isinstance(terms, Mapping):
            yield from (str(one["value"][1]["value"]) for one in terms["symbols"] if one["type"] == "call")
        else:
            yield _variable(terms[1])

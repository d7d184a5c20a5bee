"""A set of rules: data that a member writes and two operators approve. Read strictly; evaluated by `composing`.

A rule looks at one preference of the person and prefers products by one of their fields, never by their price. It
can only prefer: nothing is kept from anybody, with or without data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.agreements.fields import FIELD_NAME, IDENTIFIER, distinct, items, kept_sentence, matching, members, whole
from gateway.canonical import canonical
from gateway.errors import Invalid

MOST_RULES: Final = 100
MOST_PREFERENCES: Final = 32
MOST_SOURCES: Final = 8
MOST_WEIGHT: Final = 1000
MOST_ITEMS: Final = 20
_MOST_VALUES: Final = 32
_CODE: Final = "[A-Z][A-Z0-9_]{0,63}"
_CURRENCY: Final = "[A-Z]{3}"
_LANGUAGES: Final = ("en", "zh-CN")

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """A field that has one of these values."""

    field: str
    values: tuple[Value, ...]

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether it does; a field that is not there holds nothing. `true` is not 1."""
        value = fields.get(self.field)
        return any(value == one and type(value) is type(one) for one in self.values)


@dataclass(frozen=True, slots=True)
class Rule:
    """Whoever fulfils `when` prefers products that fulfil `prefer`, by `weight`; `words` say so to the person."""

    code: str
    when: Condition
    prefer: Condition
    weight: int
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Products of another member: a product dataset under an agreement, and what its fields mean."""

    agreement: str
    dataset: str
    code: str
    name: str
    price: str
    currency: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One member's rules. `preferences` are the only fields of a person that are ever read."""

    title: str
    sources: tuple[Source, ...]
    preferences: tuple[str, ...]
    rules: tuple[Rule, ...]
    size: int
    text: bytes

    @property
    def sha256(self) -> str:
        """Of the canonical text."""
        return hashlib.sha256(self.text).hexdigest()

    @classmethod
    def of(cls, said: Any) -> RuleSet:
        """Read a document; `Invalid` names the member that breaks a rule by its JSON pointer."""
        members(said, ("v", "title", "products", "preferences", "rules", "size"), "")
        whole(said["v"], "/v", 1, 1)
        preferences = distinct(said["preferences"], "/preferences", MOST_PREFERENCES, FIELD_NAME)
        sources = [
            _source(one, f"/products/{at}") for at, one in enumerate(items(said["products"], "/products", MOST_SOURCES))
        ]
        rules = [_rule(one, f"/rules/{at}") for at, one in enumerate(items(said["rules"], "/rules", MOST_RULES))]
        prices = {one.price for one in sources}
        for at, rule in enumerate(rules):
            if rule.when.field not in preferences:
                raise _wrong(f"/rules/{at}/when/field", "A rule looks at one of the preferences.")
            if rule.prefer.field in prices:
                raise _wrong(f"/rules/{at}/prefer/field", "No rule looks at a price.")
        if len({rule.code for rule in rules}) != len(rules):
            raise _wrong("/rules", "Each rule has a code of its own.")
        return cls(
            title=kept_sentence(said["title"], "/title"),
            sources=tuple(sources),
            preferences=preferences,
            rules=tuple(rules),
            size=whole(said["size"], "/size", 1, MOST_ITEMS),
            text=canonical(said),
        )


def _source(said: Any, at: str) -> Source:
    members(said, ("agreement", "dataset", "code", "name", "price", "currency"), at)
    named = {name: matching(said[name], f"{at}/{name}", IDENTIFIER) for name in ("agreement", "dataset")}
    named |= {name: matching(said[name], f"{at}/{name}", FIELD_NAME) for name in ("code", "name", "price")}
    return Source(**named, currency=matching(said["currency"], f"{at}/currency", _CURRENCY))


def _rule(said: Any, at: str) -> Rule:
    members(said, ("code", "when", "prefer", "weight", "words"), at)
    members(said["words"], _LANGUAGES, f"{at}/words")
    return Rule(
        code=matching(said["code"], f"{at}/code", _CODE),
        when=_condition(said["when"], f"{at}/when"),
        prefer=_condition(said["prefer"], f"{at}/prefer"),
        weight=whole(said["weight"], f"{at}/weight", 1, MOST_WEIGHT),
        words={one: kept_sentence(said["words"][one], f"{at}/words/{one}") for one in _LANGUAGES},
    )


def _condition(said: Any, at: str) -> Condition:
    members(said, ("field", "in"), at)
    values = items(said["in"], f"{at}/in", _MOST_VALUES)
    for number, value in enumerate(values):
        if not isinstance(value, Value):
            raise _wrong(f"{at}/in/{number}", "A value is a text, a whole number, or true or false.")
    return Condition(matching(said["field"], f"{at}/field", FIELD_NAME), tuple(values))


def _wrong(at: str, detail: str) -> Invalid:
    return Invalid("invalid_rules", detail, field=at)

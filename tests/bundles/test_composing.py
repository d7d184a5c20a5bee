"""Rules, products and preferences make a bundle, and nothing else has a part in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bundles.composing import NOTHING, Product, compose
from gateway.bundles.rules import RuleSet
from gateway.errors import Invalid
from tests.bundles.world import OFFERS, RULES, rule

_SOURCE = {
    "agreement": "a1", "dataset": "d1", "code": "code", "name": "name", "price": "price", "currency": "CNY",
}  # fmt: skip
_SAID: dict[str, Any] = {
    "v": 1,
    "title": "Weekends",
    "products": [_SOURCE],
    "preferences": ["likes", "children"],
    "rules": RULES,
    "size": 3,
}


def _rules(**over: Any) -> RuleSet:
    return RuleSet.of(_SAID | over)


_LISTED = [found for one in OFFERS if (found := Product.of(_rules().sources[0], one)) is not None]
_profiles = st.fixed_dictionaries(
    {},
    optional={
        "likes": st.sampled_from(["wellness", "mountains", "", "sea"]),
        "children": st.integers(0, 5),
        "income": st.integers(0, 10**9),
        "price": st.integers(0, 10**6),
    },
)


def test_preferences_move_what_they_prefer_to_the_front_with_the_reason() -> None:
    made = compose(_rules(), _LISTED, {"likes": "wellness", "children": 2})
    assert [(one.product.code, one.reasons) for one in made.items] == [
        ("B2", ("LIKES_WELLNESS",)),
        ("D4", ("HAS_CHILDREN",)),
        ("A1", ()),
    ]
    assert (made.fields_used, sorted(made.words)) == (("children", "likes"), ["HAS_CHILDREN", "LIKES_WELLNESS"])


def test_without_preferences_the_list_is_generic_and_uses_nothing() -> None:
    made = compose(_rules(), _LISTED, NOTHING)
    assert [one.product.code for one in made.items] == ["A1", "B2", "C3"]
    assert (made.fields_used, dict(made.words)) == ((), {})


@given(_profiles, _profiles)
def test_no_price_moves_with_the_person(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Swap two persons: what both are offered costs both the same, which is what it costs on the list."""
    listed = {product.code: (product.price, product.currency) for product in _LISTED}
    for size in (3, len(_LISTED)):
        for profile in (one, other, NOTHING):
            made = compose(_rules(size=size), _LISTED, profile)
            offered = {item.product.code: (item.product.price, item.product.currency) for item in made.items}
            assert offered.items() <= listed.items()
            assert len(offered) == size


@given(_profiles)
def test_who_shows_nothing_is_never_worse_off(profile: Mapping[str, Any]) -> None:
    everything = _rules(size=len(_LISTED))
    with_data, without = compose(everything, _LISTED, profile), compose(everything, _LISTED, NOTHING)
    assert sorted(one.product.code for one in with_data.items) == sorted(one.product.code for one in without.items)


@given(_profiles)
def test_only_preferences_that_a_rule_looks_at_have_a_part(profile: Mapping[str, Any]) -> None:
    seen = {name: value for name, value in profile.items() if name in ("likes", "children")}
    assert compose(_rules(), _LISTED, profile) == compose(_rules(), _LISTED, seen)
    assert set(compose(_rules(), _LISTED, profile).fields_used) <= set(seen)


@given(st.permutations(_LISTED), _profiles)
def test_the_order_of_the_list_makes_no_difference(listed: list[Product], profile: Mapping[str, Any]) -> None:
    assert compose(_rules(), listed, profile) == compose(_rules(), _LISTED, profile)


def test_true_is_not_one() -> None:
    only = _rules(rules=[rule("ONE", ("children", [1]), "spa", 1)])
    assert compose(only, _LISTED, {"children": True}).fields_used == ()


def test_what_has_no_price_is_not_offered() -> None:
    source = _rules().sources[0]
    assert Product.of(source, {"code": "X", "name": "X"}) is None
    assert Product.of(source, {"code": "X", "name": "X", "price": True}) is None


@pytest.mark.parametrize(
    ("field", "over"),
    [
        ("/rules/0/prefer/field", {"rules": [RULES[0] | {"prefer": {"field": "price", "in": [1]}}]}),
        ("/rules/0/when/field", {"rules": [RULES[0] | {"when": {"field": "income", "in": [1]}}]}),
        ("/rules/0/when/in/0", {"rules": [RULES[0] | {"when": {"field": "likes", "in": [0.5]}}]}),
        ("/rules/0/weight", {"rules": [RULES[0] | {"weight": -1}]}),
        ("/rules/0/words/zh-CN", {"rules": [RULES[0] | {"words": {"en": "Only English"}}]}),
        ("/rules/0/discount", {"rules": [RULES[0] | {"discount": 5}]}),
        ("/rules", {"rules": [RULES[0], RULES[0]]}),
        ("/size", {"size": 0}),
        ("/preferences", {"preferences": []}),
        ("/v", {"v": 2}),
    ],
)
def test_rules_are_read_strictly_and_none_looks_at_a_price(field: str, over: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        _rules(**over)
    assert refused.value.field == field

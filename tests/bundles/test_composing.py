"""Rules, products and preferences make a bundle, and nothing else has a part in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bundles.composing import NOTHING, PriceList, Product, compose
from gateway.bundles.rules import RuleSet
from gateway.errors import Conflicting, Invalid
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


def _products(rows: Iterable[Mapping[str, Any]], **source: str) -> list[Product]:
    [read] = _rules(products=[_SOURCE | source]).sources
    return [found for one in rows if (found := Product.of(read, one)) is not None]


_LISTED = _products(OFFERS)
_ALL = PriceList.of(_LISTED)
_ROOM = {"code": "ROOM", "name": "Sea room"}
_rooms = st.fixed_dictionaries(
    {
        "code": st.sampled_from(["ROOM", "A1"]),
        "name": st.just("Sea room"),
        "category": st.sampled_from(["spa", "mountains", "family"]),
        "price": st.sampled_from([120_000, 30_000]),
    }
)
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
    made = compose(_rules(), _ALL, {"likes": "wellness", "children": 2})
    assert [(one.product.code, one.reasons) for one in made.items] == [
        ("B2", ("LIKES_WELLNESS",)),
        ("D4", ("HAS_CHILDREN",)),
        ("A1", ()),
    ]
    assert (made.fields_used, sorted(made.words)) == (("children", "likes"), ["HAS_CHILDREN", "LIKES_WELLNESS"])


def test_without_preferences_the_list_is_generic_and_uses_nothing() -> None:
    made = compose(_rules(), _ALL, NOTHING)
    assert [one.product.code for one in made.items] == ["A1", "B2", "C3"]
    assert (made.fields_used, dict(made.words)) == ((), {})


@given(st.lists(_rooms, max_size=3), _profiles, _profiles)
def test_no_price_moves_with_the_person(
    rooms: list[Mapping[str, Any]], one: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    """Swap two persons: what both are offered costs both the same, or nobody is offered anything of that list."""
    products = [*_LISTED, *_products(rooms)]
    costs = {(product.code, product.price, product.currency) for product in products}
    try:
        listed = PriceList.of(products)
    except Conflicting:
        assert len({code for code, _, _ in costs}) < len(costs)
        return
    for size in (3, len(products)):
        made = [compose(_rules(size=size), listed, profile) for profile in (one, other, NOTHING)]
        offered = {(item.product.code, item.product.price, item.product.currency) for one in made for item in one.items}
        assert len({code for code, _, _ in offered}) == len(offered)
        assert offered <= costs
        assert {len(one.items) for one in made} == {size}


@pytest.mark.parametrize(
    "other",
    [
        _products([_ROOM | {"category": "mountains", "price": 30_000}]),
        _products([_ROOM | {"category": "spa", "price": 90_000, "rack": 99_000}], price="rack"),
        _products([_ROOM | {"category": "spa", "price": 90_000}], currency="EUR"),
    ],
)
def test_a_product_that_is_listed_at_two_prices_is_refused_by_its_code(other: list[Product]) -> None:
    with pytest.raises(Conflicting, match=r"product_priced_twice: .*ROOM") as refused:
        PriceList.of([*_products([_ROOM | {"category": "spa", "price": 90_000}]), *other])
    assert refused.value.remedy


def test_a_product_may_be_listed_twice_at_one_price_and_another_dataset_prices_its_own() -> None:
    room = _ROOM | {"price": 90_000}
    twice = _products([room | {"category": "spa"}, room | {"category": "mountains"}])
    elsewhere = _products([room | {"price": 30_000}], dataset="d2")
    assert PriceList.of([*twice, *elsewhere]).products == (*twice, *elsewhere)


@given(_profiles)
def test_who_shows_nothing_is_never_worse_off(profile: Mapping[str, Any]) -> None:
    everything = _rules(size=len(_LISTED))
    with_data, without = compose(everything, _ALL, profile), compose(everything, _ALL, NOTHING)
    assert sorted(one.product.code for one in with_data.items) == sorted(one.product.code for one in without.items)


def test_a_rule_that_moved_nothing_on_offer_has_no_part() -> None:
    made = compose(_rules(size=1), _ALL, {"likes": "wellness", "children": 2})
    assert [one.product.code for one in made.items] == ["B2"]
    assert (made.fields_used, set(made.words)) == (("likes",), {"LIKES_WELLNESS"})


@given(_profiles)
def test_only_preferences_that_a_rule_looks_at_have_a_part(profile: Mapping[str, Any]) -> None:
    seen = {name: value for name, value in profile.items() if name in ("likes", "children")}
    assert compose(_rules(), _ALL, profile) == compose(_rules(), _ALL, seen)
    assert set(compose(_rules(), _ALL, profile).fields_used) <= set(seen)


@given(st.permutations(_LISTED), _profiles)
def test_the_order_of_the_list_makes_no_difference(listed: list[Product], profile: Mapping[str, Any]) -> None:
    assert compose(_rules(), PriceList.of(listed), profile) == compose(_rules(), _ALL, profile)


def test_true_is_not_one() -> None:
    only = _rules(rules=[rule("ONE", ("children", [1]), "spa", 1)])
    assert compose(only, _ALL, {"children": True}).fields_used == ()


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
        ("/rules/0/when/in/0", {"rules": [RULES[0] | {"when": {"field": "likes", "in": [None]}}]}),
        ("/rules/0/prefer/in/1", {"rules": [RULES[0] | {"prefer": {"field": "category", "in": ["spa", ["city"]]}}]}),
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

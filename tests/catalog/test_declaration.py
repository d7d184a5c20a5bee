from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.columns import CellRefused, Column
from gateway.catalog.declaration import declare
from gateway.errors import Conflicting, Invalid
from tests.catalog.conftest import Shop

PLAIN = {"type": "string", "x-class": "open", "x-grade": 1}


def document(*, x_kind: Any = "market", top: Any = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "x-kind": x_kind, "properties": properties or {"a": PLAIN}, **(top or {})}


def many(count: int, changed: dict[str, str]) -> dict[str, Any]:
    return {f"f{n}": PLAIN | {key: value.format(n) for key, value in changed.items()} for n in range(count)}


def test_the_order_of_declaration_fixes_field_and_class_numbers() -> None:
    schema = declare(document(b=PLAIN | {"x-class": "z"}, a=PLAIN, c=PLAIN | {"x-class": "z"}))
    assert [(f.name, f.number) for f in schema.fields.values()] == [("b", 0), ("a", 1), ("c", 2)]
    assert schema.classes == {"z": 0, "open": 1}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (document(a=PLAIN | {"$ref": "https://example.org/x"}), "/schema/properties/a/$ref"),
        (document(a=PLAIN | {"type": "object"}), "/schema/properties/a/type"),
        (document(a=PLAIN | {"type": ["string", "integer"]}), "/schema/properties/a/type"),
        (document(a=PLAIN | {"minimum": 1}), "/schema/properties/a/minimum"),
        (document(a=PLAIN | {"x-grade": 5}), "/schema/properties/a/x-grade"),
        (document(a=PLAIN | {"x-grade": True}), "/schema/properties/a/x-grade"),
        (document(a=PLAIN | {"x-grade": 1.0}), "/schema/properties/a/x-grade"),
        (document(a=PLAIN | {"x-grade": "secret"}), "/schema/properties/a/x-grade"),
        (document(a=PLAIN | {"x-grade": ["core"]}), "/schema/properties/a/x-grade"),
        (document(a=PLAIN | {"x-confidentiality": "secret"}), "/schema/properties/a/x-confidentiality"),
        (document(a=PLAIN | {"x-confidentiality": None}), "/schema/properties/a/x-confidentiality"),
        (document(a=PLAIN | {"x-confidentiality": ["public"]}), "/schema/properties/a/x-confidentiality"),
        (document(a={"type": "string", "x-grade": 1}), "/schema/properties/a/x-class"),
        (document(a=PLAIN | {"pattern": "(?=x)"}), "/schema/properties/a/pattern"),
        (document(a=PLAIN | {"type": "number", "x-filter": "equality"}), "/schema/properties/a/x-filter"),
        (document(a=PLAIN | {"type": "boolean", "x-filter": "equality"}), "/schema/properties/a/x-filter"),
        (document(a=PLAIN | {"enum": ["x"], "x-filter": "equality"}), "/schema/properties/a/x-filter"),
        (document(a=PLAIN | {"minLength": -1}), "/schema/properties/a/minLength"),
        (document(a=PLAIN | {"maxLength": -1}), "/schema/properties/a/maxLength"),
        (document(a=PLAIN | {"minLength": 3, "maxLength": 2}), "/schema/properties/a/maxLength"),
        (document(a=PLAIN | {"pattern": "^a", "maxLength": 1025}), "/schema/properties/a/maxLength"),
        (document(a=PLAIN | {"pattern": "^a", "minLength": 1025}), "/schema/properties/a/minLength"),
        (document(a=PLAIN | {"pattern": "^[01]*1[01]{10000}$"}), "/schema/properties/a/pattern"),
        (document(a=PLAIN | {"type": "integer", "minimum": 1, "maximum": 0}), "/schema/properties/a/maximum"),
        (document(a=PLAIN | {"title": "\ud800"}), "/schema/properties/a/title"),
        (document(a=PLAIN | {"enum": ["\ud800"]}), "/schema/properties/a/enum"),
        (document(top={"description": "\udfff"}), "/schema/description"),
        (document(A=PLAIN), "/schema/properties/A"),
        (document(a=PLAIN, b=PLAIN | {"x-column": "a"}), "/schema/properties/b/x-column"),
        (document(top={"additionalProperties": True}), "/schema/additionalProperties"),
        (document(top={"x-unique": ["b"]}), "/schema/x-unique"),
        (document(x_kind="secret"), "/schema/x-kind"),
        (document(x_kind="personal"), "/schema/x-subject-field"),
        (document(x_kind="personal", top={"x-subject-field": "a"}), "/schema/properties/a/x-class"),
        (document(x_kind="personal", top={"x-subject-field": ["a"]}), "/schema/x-subject-field"),
        (document(x_kind="personal", top={"x-subject-field": {}}), "/schema/x-subject-field"),
        (document(x_kind="personal", top={"x-subject-field": 7}), "/schema/x-subject-field"),
        (document(**many(63, {})), "/schema/properties"),
        (document(**many(17, {"x-class": "c{}"})), "/schema/properties"),
    ],
)
def test_a_schema_that_breaks_a_rule_is_refused_by_name(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        declare(wrong)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (document(a=PLAIN | {"x-class": "personal_contact"}), "/schema/properties/a/x-class"),
        (document(passport_no=PLAIN), "/schema/properties/passport_no"),
        (document(top={"x-subject-field": "a"}), "/schema/x-subject-field"),
    ],
)
def test_persons_stand_in_personal_datasets_only(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=r"CLASS_NOT_SHAREABLE.*4\.1\.1") as refused:
        declare(wrong)
    assert refused.value.field == field


async def test_equal_declarations_at_once_with_one_key_are_done_once_and_answered_alike(shop_on_both: Shop) -> None:
    datasets, owner = shop_on_both.datasets, shop_on_both.owner
    first, *others = await asyncio.gather(*(datasets.declare(owner, "t", document(a=PLAIN), key="k") for _ in range(3)))
    assert others == [first, first]
    with pytest.raises(Conflicting, match="name_taken"):
        await datasets.declare(owner, "t", document(a=PLAIN), key="other")


async def test_a_filter_is_refused_where_the_schema_declares_none(shop: Shop) -> None:
    number = {"type": "integer", "x-class": "open", "x-grade": 1, "x-filter": "equality"}
    dataset = await shop.declare({"a": PLAIN, "b": number})
    keys = await shop.keyring.unlock(dataset.owner)
    assert dataset.filter_terms({"b": 7}, keys) == dataset.filter_terms({"b": "07"}, keys)
    for filters in ({"a": "x"}, {"c": "x"}, {"b": "x"}, {"b": None}, {"b": ""}, {"b": [7]}):
        with pytest.raises(Invalid):
            dataset.filter_terms(filters, keys)


JSON = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=6)
PROPERTY = st.one_of(
    st.builds(
        lambda null, least, most, pattern: {
            "type": ["string", "null"] if null else "string", "minLength": least, "maxLength": most, "pattern": pattern
        },
        st.booleans(), st.integers(0, 2), st.integers(0, 5), st.sampled_from(["^[a-z]*$", "a", ""]),
    ).filter(lambda p: p["minLength"] <= p["maxLength"]).map(lambda p: {k: v for k, v in p.items() if v != ""}),
    st.builds(lambda t, low: {"type": t, "minimum": low}, st.sampled_from(["integer", "number"]), st.integers(-3, 3)),
    st.just({"type": "boolean"}),
    st.just({"type": ["integer", "null"], "enum": [1, 2]}),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PROPERTY, JSON)
def test_a_value_passes_exactly_when_its_json_schema_accepts_it(keywords: dict[str, Any], value: Any) -> None:
    """Beyond JSON Schema, integers fit in 64 bits."""
    schema = declare(document(a=keywords | {"x-class": "open", "x-grade": 1}))
    column = Column(schema.fields["a"])
    stored = json.loads(schema.text)
    if isinstance(value, int | float) and abs(value) >= 2**63 and schema.fields["a"].type == "integer":
        return
    accepted = jsonschema_rs.Draft202012Validator(stored["properties"]["a"]).is_valid(value)
    try:
        encoded = column.of_value(value)
    except CellRefused:
        assert not accepted
    else:
        assert accepted
        assert json.loads(encoded) == value
        assert orjson.loads(encoded) is not ...


def test_no_pattern_of_a_member_holds_the_process_up() -> None:
    """A match lets nothing else run: 1 MiB under such a pattern was three seconds, and a minute with {10000}."""
    schema = declare(document(a=PLAIN | {"pattern": "^[01]*1[01]{500}$"}))
    bits = "".join(format(number * 2_654_435_761 % 2**32, "032b") for number in range(30_000))
    texts = [bits[:length] for length in (1_000, 10_000, 960_000)]
    column = Column(schema.fields["a"])
    begun = perf_counter()
    for text in texts:
        with pytest.raises(CellRefused):
            column.of_value(text + "x")
    assert perf_counter() - begun < 1
    assert column.of_value("1" + "0" * 500) == b'"1%b"' % (b"0" * 500)


def test_a_field_that_says_nothing_is_a_secret_of_its_datasets_usual_kind() -> None:
    plain = declare(document(a=PLAIN, b=PLAIN | {"x-confidentiality": "public"}))
    assert {name: field.confidentiality for name, field in plain.fields.items()} == {
        "a": "business_secret",
        "b": "public",
    }
    number = {"type": "string", "x-class": "personal", "x-grade": 2}
    personal = declare(document(number=number) | {"x-kind": "personal", "x-subject-field": "number"})
    assert personal.fields["number"].confidentiality == "customer"


def test_important_and_core_data_are_the_two_highest_grades() -> None:
    stated = {name: PLAIN | {"x-grade": grade} for name, grade in (("a", 4), ("b", "important"), ("c", "core"))}
    assert {name: field.grade for name, field in declare(document(**stated)).fields.items()} == {
        "a": 4,
        "b": 5,
        "c": 6,
    }

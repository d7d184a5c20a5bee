"""Only a document that matches the schema exactly reaches an engine."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gateway.canonical import canonical
from gateway.errors import Invalid
from gateway.policy.case import CIRCUMSTANCES, read_case
from tests.policy.cases import agreed_case, places, put, without

_MAPS = {("resource", "fields"), ("resource", "grades"), ("resource", "confidential")}
"""What is named by the dataset's own fields."""
_OBJECTS = [(), *(path for path in places(agreed_case()) if path not in _MAPS)]


def test_the_hash_is_of_the_canonical_form() -> None:
    assert read_case(agreed_case()).input_sha256 == hashlib.sha256(canonical(agreed_case())).hexdigest()


def test_what_is_decided_is_what_was_checked_whatever_becomes_of_the_document() -> None:
    document = agreed_case()
    case = read_case(document)
    document["subject"]["client_state"] = "revoked"
    document["holds"].append(object())
    assert case.document == agreed_case()


_CLOSED = (
    ("market", "product", "personal"),
    ("read", "query"),
    ("forbidden", "written_consent"),
    ("public", "business_secret", "technical_secret", "customer", "financial"),
)
_ANOTHER = {word: words[index - 1] for words in _CLOSED for index, word in enumerate(words)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("resource", "kind"), "secret"),
        (("agreement", "onward"), "sometimes"),
        (("action", "includes"), ["read", "write"]),
        (("agreement", "signed_messages", "actions"), ["write"]),
        (("agreement", "volume", "records"), 0),
        (("agreement", "volume", "per_seconds"), 0),
        (("agreement", "frequency", "per_seconds"), 0),
        (("resource", "grades"), {"amount": 1}),
        (("resource", "confidential"), {"amount": "public"}),
        (("resource", "grades"), {"amount": 0, "due_on": 1}),
        (("resource", "confidential"), {"amount": "mine", "due_on": "public"}),
    ],
)
def test_a_value_that_no_rule_knows_is_no_case(path: tuple[str, ...], value: Any) -> None:
    assert {"amount", "due_on"} <= agreed_case()["resource"]["fields"].keys()
    with pytest.raises(Invalid, match="case_invalid"):
        read_case(put(agreed_case(), path, value))


def test_the_key_forgets_nothing_but_the_instant() -> None:
    key = read_case(agreed_case()).key
    assert read_case(put(agreed_case(), ("context", "now"), 5)).key == key
    for path in places(agreed_case()):
        value: Any = agreed_case()
        for step in path:
            value = value[step]
        if path != ("context", "now") and isinstance(value, str | int):
            other = value + 1 if isinstance(value, int) else _ANOTHER.get(value, value + "x")
            assert read_case(put(agreed_case(), path, other)).key != key, path


def test_every_member_is_needed_but_a_circumstance_that_does_not_stand() -> None:
    named = [path for path in places(agreed_case()) if isinstance(path[-1], str) and path[:2] not in _MAPS]
    optional = {("circumstances", name) for name in CIRCUMSTANCES}
    assert len(named) > 35
    assert read_case({**agreed_case(), "circumstances": {}}).document["circumstances"] == {}
    for path in set(named) - optional:
        with pytest.raises(Invalid, match="case_invalid"):
            read_case(without(agreed_case(), path))


def test_an_unknown_member_is_refused_everywhere() -> None:
    seen = 0
    for path in _OBJECTS:
        part: Any = agreed_case()
        for step in path:
            part = part[step]
        if isinstance(part, dict):
            seen += 1
            with pytest.raises(Invalid, match="case_invalid"):
                read_case(put(agreed_case(), (*path, "request_id"), "x"))
    assert seen == 18


@pytest.mark.parametrize("value", [None, True, 1.0, -1, 2**53, 2**64, "", [None], {"x": -1}, ["a b"], b"x"])
def test_a_value_of_another_type_is_refused_everywhere(value: object) -> None:
    for path in places(agreed_case()):
        with pytest.raises(Invalid, match="case_invalid"):
            read_case(put(agreed_case(), path, value))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x00b", "a\n", " a", "é", "合同", "\ud800", "-a", "a" * 129, "a b"])
def test_an_unsafe_string_is_refused_everywhere(name: str) -> None:
    for path in places(agreed_case()):
        with pytest.raises(Invalid, match="case_invalid"):
            read_case(put(agreed_case(), path, name))
    with pytest.raises(Invalid, match="case_invalid"):
        read_case(put(agreed_case(), ("resource", "fields", name), "plain"))


def test_a_refusal_names_the_member_and_quotes_nothing() -> None:
    with pytest.raises(Invalid) as refusal:
        read_case(put(agreed_case(), ("agreement", "ends_at"), "tomorrow"))
    assert refusal.value.field == "/agreement/ends_at"
    assert "tomorrow" not in str(refusal.value)


@pytest.mark.parametrize("document", [None, [], "case", 5, {}])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(Invalid, match="case_invalid"):
        read_case(document)


def test_a_list_or_a_case_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match="case_invalid"):
        read_case(put(agreed_case(), ("action", "fields"), ["amount"] * 513))
    with pytest.raises(Invalid, match="too large"):
        read_case(put(agreed_case(), ("subject", "grants"), [_long_grant()] * 3))


def _long_grant() -> dict[str, Any]:
    return {"agreement": "a1", "datasets": ["d" * 128] * 512, "purposes": ["settlement"], "actions": ["read"]}

"""ODRL 2.2 without loss: what is exported is read back to the byte, and what terms cannot say is refused by name."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.agreements import parse_terms
from gateway.agreements.odrl_export import to_odrl
from gateway.agreements.odrl_import import from_odrl, proposal_from_odrl
from gateway.agreements.odrl_words import CONTEXT, ODRL
from gateway.canonical import canonical
from gateway.errors import GatewayError, Invalid
from tests.agreements.strategies import any_terms
from tests.agreements.test_terms import FULL, TERMS

Json = dict[str, Any]


def exported(value: Json, agreed_at: str | None = None) -> Json:
    return to_odrl(parse_terms(canonical(value)), agreed_at=agreed_at)


def imported(policy: Any) -> bytes:
    return from_odrl(json.dumps(policy).encode()).terms.text


@given(any_terms(), st.sampled_from([None, "2026-01-31T00:00:00Z"]))
@settings(max_examples=150, deadline=None)
def test_what_is_exported_is_read_back_to_the_byte(value: Json, agreed_at: str | None) -> None:
    read = from_odrl(canonical(exported(value, agreed_at)))
    assert (read.terms.text, read.agreed_at) == (canonical(value), agreed_at)


@pytest.mark.parametrize("value", [TERMS, FULL])
def test_hand_written_terms_come_back_too(value: Json) -> None:
    assert imported(exported(value)) == canonical(value)


def test_the_policy_speaks_odrls_own_words_where_there_are_any() -> None:
    policy = exported(FULL, "2026-01-31T00:00:00Z")
    assert (policy["@type"], policy["timestamp"]) == ("Agreement", "2026-01-31T00:00:00Z")
    use, planes, distribution = policy["permission"]
    assert use["action"][0]["rdf:value"] == planes["action"][0]["rdf:value"] == {"@id": "odrl:use"}
    assert [one["leftOperand"] for one in use["constraint"][:4]] == ["purpose", "dateTime", "dateTime", "count"]
    assert use["duty"][0]["action"][0]["rdf:value"] == {"@id": "odrl:delete"}
    assert distribution["action"] == "distribute"
    assert distribution["duty"] == [
        {"action": "obtainConsent", "consentingParty": "urn:alliance-gateway:member:airline"}
    ]
    forbidden = exported({**TERMS, "onward": "forbidden"})
    assert (forbidden["@type"], forbidden["prohibition"][0]["action"]) == ("Offer", "distribute")


def test_long_names_and_single_values_mean_the_same() -> None:
    policy = exported(TERMS)
    policy["permission"][0]["action"] = policy["permission"][0]["action"][0]
    policy["permission"][0]["action"]["rdf:value"] = {"@id": ODRL + "use"}
    policy["permission"][1]["constraint"][0]["leftOperand"] = {"@id": "odrl:purpose"}
    policy["permission"][1]["constraint"][0]["operator"] = ODRL + "isAnyOf"
    assert imported(policy) == canonical(TERMS)


@pytest.mark.parametrize("action", ["odrl:distribute", f"{ODRL}distribute", {"@id": "odrl:distribute"}, ["distribute"]])
def test_handing_on_is_known_by_each_of_its_names_and_in_any_place(action: Any) -> None:
    """The permissions of a policy are a set: another system may give them back in another order."""
    policy = exported(FULL)
    policy["permission"][-1]["action"] = action
    policy["permission"].insert(0, policy["permission"].pop())
    assert imported(policy) == canonical(FULL)


def test_the_prohibition_to_hand_on_is_known_by_each_of_its_names() -> None:
    forbidding = {name: value for name, value in FULL.items() if name != "third_parties"} | {"onward": "forbidden"}
    policy = exported(forbidding)
    policy["prohibition"][0]["action"] = {"@id": ODRL + "distribute"}
    assert imported(policy) == canonical(forbidding)


Change = Callable[[Json], object]


def put(pointer: str, value: Any) -> Change:
    def change(policy: Json) -> None:
        *parents, last = pointer.split("/")[1:]
        place: Any = policy
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[int(last) if isinstance(place, list) and last != "-" else last] = value

    return change


def add(pointer: str, value: Any) -> Change:
    def change(policy: Json) -> None:
        place: Any = policy
        for name in pointer.split("/")[1:]:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, [])
        place.append(value)

    return change


def that(left: str, operator: str, right: Any) -> Json:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


MISSING, INEXPRESSIBLE, MALFORMED = "odrl_member_missing", "odrl_not_expressible", "odrl_malformed"
USE = "/permission/0"
REFUSED: list[tuple[str, str, str, Change]] = [
    (INEXPRESSIBLE, f"{USE}/constraint/6", "spatial", add(f"{USE}/constraint", that("spatial", "eq", "DE"))),
    (INEXPRESSIBLE, f"{USE}/constraint/0/operator", "isNoneOf", put(f"{USE}/constraint/0/operator", "isNoneOf")),
    (INEXPRESSIBLE, f"{USE}/constraint/0/or", "or", put(f"{USE}/constraint/0", {"or": []})),
    (INEXPRESSIBLE, f"{USE}/constraint/6", "second", add(f"{USE}/constraint", that("purpose", "isAnyOf", ["x"]))),
    (INEXPRESSIBLE, f"{USE}/action/0/rdf:value", "sell", put(f"{USE}/action/0/rdf:value", {"@id": "odrl:sell"})),
    (INEXPRESSIBLE, f"{USE}/action/0", "play", put(f"{USE}/action", ["play"])),
    (INEXPRESSIBLE, f"{USE}/action", "sell", put(USE, {"target": "urn:x", "action": "sell"})),
    (INEXPRESSIBLE, f"{USE}/target/refinement/3/leftOperand", "spatial",
     add(f"{USE}/target/refinement", that("spatial", "eq", "DE"))),
    (INEXPRESSIBLE, f"{USE}/target/refinement/1/operator", "isNoneOf",
     put(f"{USE}/target/refinement/1/operator", "isNoneOf")),
    (MISSING, f"{USE}/action/refinement", "ag:method", put(f"{USE}/action", "use")),
    (INEXPRESSIBLE, f"{USE}/remedy", "remedy", put(f"{USE}/remedy", [])),
    (INEXPRESSIBLE, f"{USE}/duty/1", "second duty", add(f"{USE}/duty", {"action": "attribute"})),
    (INEXPRESSIBLE, f"{USE}/duty/0/action/0/refinement/0/rightOperand", "whole days",
     put(f"{USE}/duty/0/action/0/refinement/0/rightOperand", {"@type": "xsd:duration", "@value": "P1Y"})),
    (INEXPRESSIBLE, f"{USE}/constraint/0/rightOperand/0", "purpose", put(f"{USE}/constraint/0/rightOperand/0", "x")),
    (MALFORMED, f"{USE}/constraint/1/rightOperand", "object", put(f"{USE}/constraint/1/rightOperand", "2026")),
    (INEXPRESSIBLE, "/permission/1/constraint", "another end",
     put("/permission/1/constraint/2/rightOperand/@value", "2026-06-01T00:00:00Z")),
    (INEXPRESSIBLE, f"{USE}/target/@type", "Asset", put(f"{USE}/target/@type", "Asset")),
    (INEXPRESSIBLE, f"{USE}/target/source", "dataset", put(f"{USE}/target/source", "http://example.com/asset:9898")),
    (INEXPRESSIBLE, "/permission/2", "without the owner's consent", put("/permission/2/duty", [])),
    (INEXPRESSIBLE, "/permission/2/duty/0/action", "compensate", put("/permission/2/duty/0/action", "compensate")),
    (INEXPRESSIBLE, "/prohibition/0", "second time",
     put("/prohibition", [{"target": ["urn:alliance-gateway:dataset:flights"], "action": "distribute"}])),
    (INEXPRESSIBLE, "/prohibition/0/action", "prohibition", put("/prohibition", [{"target": "x", "action": "print"}])),
    (INEXPRESSIBLE, "/obligation/0/action", "compensate", put("/obligation/0/action", "compensate")),
    (INEXPRESSIBLE, "/obligation/0/assignee", "owner",
     put("/obligation/0/assignee", "urn:alliance-gateway:member:bank")),
    (INEXPRESSIBLE, "/@type", "Privacy", put("/@type", "Privacy")),
    (INEXPRESSIBLE, "/profile", "http", put("/profile", "http://example.com/odrl:profile:01")),
    (INEXPRESSIBLE, "/assigner", "member", put("/assigner", "http://example.com/org:99")),
    (INEXPRESSIBLE, "/inheritFrom", "inheritFrom", put("/inheritFrom", "x")),
    (INEXPRESSIBLE, "/conflict", "conflict", put("/conflict", "perm")),
    (INEXPRESSIBLE, "/@context", "never fetched", put("/@context", "https://example.com/another")),
    (INEXPRESSIBLE, "/@context", "never fetched", put("/@context", [*CONTEXT, {"distribute": "odrl:use"}])),
    (MALFORMED, "/permission/0/action", "at most", put(f"{USE}/action", ["use"] * 257)),
    (INEXPRESSIBLE, "/timestamp", "offer", put("/timestamp", "2026-01-31T00:00:00Z")),
    (MALFORMED, "/ag:remedies", "JSON literal", put("/ag:remedies", {"@type": "x", "@value": {}})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "field", "names", "change"), REFUSED, ids=[f"{n}-{r[2]}" for n, r in enumerate(REFUSED)]
)
def test_what_terms_cannot_express_is_refused_by_name_and_pointer(
    code: str, field: str, names: str, change: Change
) -> None:
    policy = copy.deepcopy(exported(FULL))
    change(policy)
    with pytest.raises(Invalid) as refused:
        imported(policy)
    assert (refused.value.code, refused.value.detail.count(names) > 0) == (code, True), refused.value
    assert (refused.value.field or "").startswith(field)


FOREIGN: dict[str, tuple[str, Json]] = {
    "the first example of the ODRL Information Model": (
        "/uid",
        {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Offer",
            "uid": "http://example.com/policy:1010",
            "profile": "http://example.com/odrl:profile:01",
            "permission": [
                {"target": "http://example.com/asset:9898", "assigner": "http://example.com/org:abc", "action": "play"}
            ],
        },
    ),
    "an offer of the Dataspace Protocol": (
        "/target",
        {
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "Offer",
            "@id": "urn:uuid:2828282:3dd1add8-4d2d-569e-d634-8394a8836a88",
            "target": "urn:uuid:3dd1add8-4d2d-569e-d634-8394a8836a88",
            "assigner": "urn:tsdshhs636378",
            "permission": [{"action": "use", "constraint": [that("spatial", "eq", "_:EU")]}],
        },
    ),
    "a privacy policy": (
        "/uid",
        {"@context": [], "@type": "Privacy", "uid": "x", "permission": [], "obligation": [{"action": "anonymize"}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_policy_is_refused_by_name(name: str) -> None:
    field, policy = FOREIGN[name]
    with pytest.raises(Invalid, match=INEXPRESSIBLE) as refused:
        imported(policy)
    assert refused.value.field == field


def test_an_imported_proposal_leaves_the_ids_to_the_gateway() -> None:
    policy = json.dumps(exported(FULL)).encode()
    proposal = json.loads(proposal_from_odrl(policy, alliance="al"))
    assert proposal == {name: value for name, value in FULL.items() if name not in ("v", "alliance", "agreement")}
    with pytest.raises(Invalid, match="another alliance"):
        proposal_from_odrl(policy, alliance="other")


@pytest.mark.parametrize("agreed_at", [None, "", "soon", "2026-02-30T00:00:00Z", "2026-01-31T00:00:00+08:00", {}, 1])
def test_when_it_was_agreed_is_an_instant_of_utc(agreed_at: Any) -> None:
    policy = exported(FULL, "2026-01-31T00:00:00Z") | {"timestamp": agreed_at}
    with pytest.raises(Invalid, match=MALFORMED) as refused:
        imported(policy)
    assert refused.value.field == "/timestamp"


def test_no_draft_is_made_of_a_policy_that_says_when_it_was_agreed() -> None:
    """The draft would not say so any more, and the gateway would have dropped it without a word."""
    agreed = canonical(exported(FULL, "2026-01-31T00:00:00Z"))
    with pytest.raises(Invalid, match=INEXPRESSIBLE) as refused:
        proposal_from_odrl(agreed, alliance="al")
    assert refused.value.field == "/timestamp"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_place_is_read_or_refused_and_never_breaks(data: st.DataObject) -> None:
    policy = copy.deepcopy(exported(FULL))
    place: Any = policy
    while True:
        keys = [*place] if isinstance(place, dict) else [*range(len(place))]
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_json)
    with contextlib.suppress(GatewayError):
        imported(policy)

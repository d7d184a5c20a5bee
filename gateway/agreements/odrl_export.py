"""Terms as an ODRL 2.2 policy in JSON-LD, without loss: `odrl_import.from_odrl` reads the same terms from it.

ODRL's own words are used where they mean the same (`assigner`, `purpose`, `dateTime`, `count`, `distribute`,
`obtainConsent`, `delete`); for the rest the profile of `odrl_words`. What is drafted is an `Offer`, what is in force an
`Agreement` with the `timestamp` that the Dataspace Protocol asks of one. Arrays keep their order as written.
"""

from __future__ import annotations

from typing import Any

from gateway.agreements.odrl_words import (
    AGREEMENT,
    ALLIANCE,
    CADENCE,
    CONTEXT,
    DATASET,
    MEMBER,
    PROFILE,
    PURPOSE,
    WHOLE,
)
from gateway.agreements.terms import Terms
from gateway.canonical import parse

Json = dict[str, Any]


def to_odrl(terms: Terms, *, agreed_at: str | None = None) -> Json:
    """The policy; an Agreement if it was agreed at an instant (RFC 3339), else an Offer."""
    value = parse(terms.text)
    policy: Json = {
        "@context": CONTEXT,
        "@type": "Offer" if agreed_at is None else "Agreement",
        "@id": AGREEMENT + value["agreement"],
        "profile": PROFILE,
        "assigner": MEMBER + value["owner"],
        "assignee": MEMBER + value["recipient"],
        "dct:title": value["title"],
    }
    if agreed_at is not None:
        policy["timestamp"] = agreed_at
    if "amends" in value:
        policy["dct:replaces"] = AGREEMENT + value["amends"]
    for term, name in WHOLE.items():
        if name in value:
            policy[term] = _literal(ALLIANCE + value[name] if name == "alliance" else value[name])
    policy["permission"] = [_use(value, part) for part in value["datasets"]]
    if value["onward"] == "forbidden":
        policy["prohibition"] = [{"target": _targets(value), "action": "distribute"}]
    else:
        policy["permission"].append(_distribution(value))
    if obligations := [_upload(value, part) for part in value["datasets"] if "cadence" in part]:
        policy["obligation"] = obligations
    return policy


def _use(value: Json, part: Json) -> Json:
    """The permission to use one dataset."""
    constraint = [
        _that("purpose", "isAnyOf", [PURPOSE + one for one in part["purposes"]]),
        _that("dateTime", "gteq", {"@type": "xsd:dateTime", "@value": value["start"]}),
        _that("dateTime", "lt", {"@type": "xsd:dateTime", "@value": value["end"]}),
    ]
    if "frequency" in value:
        of = value["frequency"]
        constraint.append(_that("count", "lteq", of["reads"], **{"ag:perSeconds": of["per_seconds"]}))
    if "volume" in part:
        of = part["volume"]
        constraint.append(_that("ag:records", "lteq", of["records"], **{"ag:perSeconds": of["per_seconds"]}))
    if "lawful_basis" in part:
        constraint.append(_that("ag:lawfulBasis", "eq", part["lawful_basis"]))
    permission = {"target": _collection(part), "action": [_used_by(part)], "constraint": constraint}
    if "retention_days" in part:
        permission["duty"] = [_deletion(part["retention_days"])]
    return permission


def _collection(part: Json) -> Json:
    refinement = [_that("ag:field", "isAnyOf", part["fields"])]
    refinement += [_that("ag:row", "isAnyOf", one["in"], **{"ag:of": one["field"]}) for one in part.get("rows", [])]
    return {"@type": "AssetCollection", "source": DATASET + part["dataset"], "refinement": refinement}


def _used_by(part: Json) -> Json:
    return {"rdf:value": {"@id": "odrl:use"}, "refinement": [_that("ag:method", "isAnyOf", part["methods"])]}


def _deletion(days: int) -> Json:
    after = _that("delayPeriod", "lteq", {"@type": "xsd:duration", "@value": f"P{days}D"})
    return {"action": [{"rdf:value": {"@id": "odrl:delete"}, "refinement": [after]}]}


def _distribution(value: Json) -> Json:
    """Handing on, by the owner's consent, to the third parties where they are named."""
    duty = [{"action": "obtainConsent", "consentingParty": MEMBER + value["owner"]}]
    permission: Json = {"target": _targets(value), "action": "distribute", "duty": duty}
    if "third_parties" in value:
        permission["constraint"] = [_that("recipient", "isAnyOf", [MEMBER + one for one in value["third_parties"]])]
    return permission


def _upload(value: Json, part: Json) -> Json:
    """The owner's duty to upload when it is due."""
    constraint = [_that(term, "eq", part["cadence"][name]) for term, name in CADENCE.items()]
    return {
        "assignee": MEMBER + value["owner"],
        "action": "ag:upload",
        "target": DATASET + part["dataset"],
        "constraint": constraint,
    }


def _targets(value: Json) -> list[str]:
    return [DATASET + part["dataset"] for part in value["datasets"]]


def _that(left: str, operator: str, right: Any, **more: Any) -> Json:
    return {"leftOperand": left, "operator": operator, "rightOperand": right, **more}


def _literal(value: Any) -> Any:
    """An object as a JSON literal (JSON-LD 1.1), so that no processor drops members that it does not know."""
    return {"@type": "@json", "@value": value} if isinstance(value, dict) else value

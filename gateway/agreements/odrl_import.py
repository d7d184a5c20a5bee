"""Terms from an ODRL 2.2 policy of this profile. What terms cannot express is refused by name and JSON pointer.

Nothing is dropped, and nothing guessed: a constraint that is not understood would otherwise silently widen what is
granted. Values that are read are then checked as all terms are.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from gateway.agreements.fields import instant
from gateway.agreements.odrl_reading import (
    Json,
    constrained,
    constraints,
    inexpressible,
    is_term,
    malformed,
    members,
    missing,
    named,
    only,
    several,
    term,
    typed,
)
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
from gateway.agreements.terms import VERSION, Terms, parse_terms
from gateway.canonical import canonical, parse
from gateway.errors import Invalid

_MUST = ("@context", "@type", "@id", "profile", "assigner", "assignee", "dct:title", "permission")
_MAY = ("timestamp", "dct:replaces", "prohibition", "obligation", *WHOLE)
_LITERALS = ("remedies", "dispute", "revenue_ratio", "signed_messages")
_OF_USE = (
    ("purpose", "isAnyOf"),
    ("dateTime", "gteq"),
    ("dateTime", "lt"),
    ("count", "lteq"),
    ("ag:records", "lteq"),
    ("ag:lawfulBasis", "eq"),
)
_ROW = ("ag:row", "isAnyOf")
_OF_COLLECTION = (("ag:field", "isAnyOf"), _ROW)
_DAYS = re.compile("P([1-9][0-9]{0,5})D")


class Policy(NamedTuple):
    """What a policy says: its terms, and when they were agreed, which is no term."""

    terms: Terms
    agreed_at: str | None


def from_odrl(document: bytes) -> Policy:
    """What a policy says; see `odrl_reading` for how it is refused, and `parse_terms`."""
    policy = members(parse(document), "", _MUST, _MAY)
    if term(policy["@type"], "/@type") not in ("Offer", "Agreement"):
        raise inexpressible("/@type", f"a policy of type {policy['@type']}")
    if policy["@context"] != CONTEXT:
        raise inexpressible("/@context", "words of another context, which is never fetched")
    if policy["profile"] != PROFILE:
        raise inexpressible("/profile", f"the profile {policy['profile']}")
    value: Json = {
        "v": VERSION,
        "agreement": named(policy["@id"], "/@id", AGREEMENT),
        "owner": named(policy["assigner"], "/assigner", MEMBER),
        "recipient": named(policy["assignee"], "/assignee", MEMBER),
        "title": policy["dct:title"],
    }
    if "dct:replaces" in policy:
        value["amends"] = named(policy["dct:replaces"], "/dct:replaces", AGREEMENT)
    for word, name in WHOLE.items():
        if word in policy:
            value[name] = _whole(policy[word], f"/{word}", name)
    _read_permissions(policy["permission"], value)
    _read_prohibitions(policy.get("prohibition", []), value)
    if "onward" not in value:
        raise missing("/prohibition", "whether the data may be handed on")
    for at, one in several(policy.get("obligation", []), "/obligation"):
        _read_upload(one, at, value)
    return Policy(parse_terms(_canonical(value)), _agreed_at(policy))


def proposal_from_odrl(document: bytes, *, alliance: str) -> bytes:
    """A proposal from a policy of this alliance; the gateway gives the draft its own id, whatever the policy says.

    A policy that says when it was agreed is refused: nobody has agreed to a draft.
    """
    terms, agreed_at = from_odrl(document)
    if agreed_at is not None:
        raise inexpressible("/timestamp", "a draft that is agreed already")
    if terms.alliance != alliance:
        raise inexpressible("/ag:alliance", "an agreement of another alliance")
    value = parse(terms.text)
    return canonical({name: value[name] for name in value if name not in ("v", "alliance", "agreement")})


def _agreed_at(policy: Json) -> str | None:
    """The `timestamp` that the Dataspace Protocol gives an agreement, and nothing else."""
    if "timestamp" not in policy:
        return None
    if term(policy["@type"], "/@type") != "Agreement":
        raise inexpressible("/timestamp", "an offer that is agreed already")
    try:
        instant(policy["timestamp"], "/timestamp")
    except Invalid:
        raise malformed("/timestamp", "a UTC time in whole seconds, as 2026-01-31T00:00:00Z") from None
    return str(policy["timestamp"])


def _whole(value: Any, at: str, name: str) -> Any:
    if name == "alliance":
        return named(value, at, ALLIANCE)
    if name not in _LITERALS:
        return value
    members(value, at, ("@type", "@value"))
    if value["@type"] != "@json":
        raise malformed(at, "a JSON literal")
    return value["@value"]


def _read_permissions(given: Any, value: Json) -> None:
    """Uses first, then handing on, which is of all that is used: in JSON-LD the order of permissions says nothing."""
    value["datasets"] = []
    permissions = list(several(given, "/permission"))
    for at, permission in permissions:
        members(permission, at, ("target", "action"), ("constraint", "duty"))
        if not _is_distribution(permission, at):
            _read_use(permission, at, value)
    if not value["datasets"]:
        raise missing("/permission", "the use of a dataset")
    for at, permission in permissions:
        if _is_distribution(permission, at):
            _read_distribution(permission, at, value)


def _is_distribution(rule: Json, at: str) -> bool:
    """Whether the one action of a rule is to hand on, however it is written."""
    found = [one for _, one in several(rule["action"], f"{at}/action")]
    return len(found) == 1 and is_term(found[0]) and term(found[0], f"{at}/action") == "distribute"


def _read_use(permission: Json, at: str, value: Json) -> None:
    methods = _methods(permission["action"], f"{at}/action")
    part = {**_collection(permission["target"], f"{at}/target"), "methods": methods}
    found = constraints(permission.get("constraint", []), f"{at}/constraint", _OF_USE)
    for needed in _OF_USE[:3]:
        if needed not in found:
            raise missing(f"{at}/constraint", " ".join(needed))
    whole: Json = {}
    for (left, operator), (here, one) in found.items():
        right = f"{here}/rightOperand"
        if left == "purpose":
            part["purposes"] = [named(p, place, PURPOSE) for place, p in several(only(one, here), right)]
        elif left == "dateTime":
            whole["start" if operator == "gteq" else "end"] = typed(only(one, here), right, "xsd:dateTime")
        elif left == "count":
            whole["frequency"] = {"reads": only(one, here, "ag:perSeconds"), "per_seconds": one["ag:perSeconds"]}
        elif left == "ag:records":
            part["volume"] = {"records": only(one, here, "ag:perSeconds"), "per_seconds": one["ag:perSeconds"]}
        else:
            part["lawful_basis"] = only(one, here)
    _agree(value, whole, at)
    for here, duty in several(permission.get("duty", []), f"{at}/duty"):
        part["retention_days"] = _retention(duty, here, part)
    value["datasets"].append(part)


def _agree(value: Json, whole: Json, at: str) -> None:
    """Term and frequency are the agreement's: every permission says the same."""
    first = not value["datasets"]
    for name in ("start", "end", "frequency"):
        if not first and value.get(name) != whole.get(name):
            raise inexpressible(f"{at}/constraint", f"another {name} than in the first permission")
    value.update(whole)


def _collection(target: Any, at: str) -> Json:
    members(target, at, ("@type", "source", "refinement"))
    if term(target["@type"], f"{at}/@type") != "AssetCollection":
        raise inexpressible(f"{at}/@type", f"an asset of type {target['@type']}")
    part: Json = {"dataset": named(target["source"], f"{at}/source", DATASET)}
    rows: list[Json] = []
    for here, one in several(target["refinement"], f"{at}/refinement"):
        if constrained(one, here, _OF_COLLECTION) == _ROW:
            rows.append({"field": one.get("ag:of"), "in": only(one, here, "ag:of")})
        elif "fields" in part:
            raise inexpressible(here, "fields a second time")
        else:
            part["fields"] = only(one, here)
    if "fields" not in part:
        raise missing(f"{at}/refinement", "the fields")
    if rows:
        part["rows"] = rows
    return part


def _refined_action(action: Any, at: str, wanted: str, refinement: tuple[str, str]) -> tuple[str, Any]:
    """The one refinement of the one action, with its pointer."""
    found = list(several(action, at))
    if len(found) != 1:
        raise inexpressible(at, "several actions of one rule")
    [(here, one)] = found
    if not isinstance(one, dict):
        if term(one, here) != wanted:
            raise inexpressible(here, f"the action {one}")
        raise missing(f"{here}/refinement", " ".join(refinement))
    members(one, here, ("rdf:value", "refinement"))
    if term(one["rdf:value"], f"{here}/rdf:value") != wanted:
        raise inexpressible(f"{here}/rdf:value", f"the action {term(one['rdf:value'], here)}")
    refined = constraints(one["refinement"], f"{here}/refinement", (refinement,))
    if refinement not in refined:
        raise missing(f"{here}/refinement", " ".join(refinement))
    place, constraint = refined[refinement]
    return f"{place}/rightOperand", only(constraint, place)


def _methods(action: Any, at: str) -> Any:
    return _refined_action(action, at, "use", ("ag:method", "isAnyOf"))[1]


def _retention(duty: Any, at: str, part: Json) -> int:
    if "retention_days" in part:
        raise inexpressible(at, "a second duty")
    members(duty, at, ("action",))
    here, right = _refined_action(duty["action"], f"{at}/action", "delete", ("delayPeriod", "lteq"))
    days = _DAYS.fullmatch(typed(right, here, "xsd:duration"))
    if days is None:
        raise inexpressible(here, "a time that is not in whole days")
    return int(days[1])


def _read_distribution(permission: Json, at: str, value: Json) -> None:
    if "onward" in value:
        raise inexpressible(at, "handing on, a second time")
    value["onward"] = "written_consent"
    _all_datasets(permission["target"], f"{at}/target", value)
    for here, one in constraints(
        permission.get("constraint", []), f"{at}/constraint", (("recipient", "isAnyOf"),)
    ).values():
        parties = several(only(one, here), f"{here}/rightOperand")
        value["third_parties"] = [named(party, place, MEMBER) for place, party in parties]
    duties = list(several(permission.get("duty", []), f"{at}/duty"))
    if not duties:
        raise inexpressible(at, "handing on without the owner's consent")
    for here, duty in duties:
        members(duty, here, ("action", "consentingParty"))
        if term(duty["action"], f"{here}/action") != "obtainConsent":
            raise inexpressible(f"{here}/action", f"the action {term(duty['action'], here)}")
        if named(duty["consentingParty"], f"{here}/consentingParty", MEMBER) != value["owner"]:
            raise inexpressible(f"{here}/consentingParty", "another's consent than the owner's")
    if len(duties) > 1:
        raise inexpressible(f"{at}/duty", "a second duty")


def _read_prohibitions(given: Any, value: Json) -> None:
    for at, one in several(given, "/prohibition"):
        members(one, at, ("target", "action"))
        if not _is_distribution(one, at):
            raise inexpressible(f"{at}/action", "a prohibition of anything but distribute: what is not granted is not")
        if "onward" in value:
            raise inexpressible(at, "handing on, a second time")
        value["onward"] = "forbidden"
        _all_datasets(one["target"], f"{at}/target", value)


def _all_datasets(target: Any, at: str, value: Json) -> None:
    named_here = [named(one, here, DATASET) for here, one in several(target, at)]
    if sorted(named_here) != sorted(part["dataset"] for part in value["datasets"]):
        raise inexpressible(at, "handing on that differs between datasets")


def _read_upload(obligation: Any, at: str, value: Json) -> None:
    members(obligation, at, ("assignee", "action", "target", "constraint"))
    if term(obligation["action"], f"{at}/action") != "ag:upload":
        raise inexpressible(f"{at}/action", f"the action {term(obligation['action'], at)}")
    if named(obligation["assignee"], f"{at}/assignee", MEMBER) != value["owner"]:
        raise inexpressible(f"{at}/assignee", "an upload by another than the owner")
    dataset = named(obligation["target"], f"{at}/target", DATASET)
    part = next((one for one in value["datasets"] if one["dataset"] == dataset), None)
    if part is None or "cadence" in part:
        raise inexpressible(f"{at}/target", "an upload of a dataset that is not shared, or a second one")
    found = constraints(obligation["constraint"], f"{at}/constraint", [(word, "eq") for word in CADENCE])
    part["cadence"] = {CADENCE[left]: only(one, here) for (left, _), (here, one) in found.items()}


def _canonical(value: Json) -> bytes:
    try:
        return canonical(value)
    except Invalid as error:
        raise malformed(error.field or "/", "values that terms can hold") from None

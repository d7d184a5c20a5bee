"""What a notice must say before anybody may consent to it, and what has changed against the version before.

The required contents are data (`notice.schema.json`), each with the law that asks for it: PIPL Art. 17, 23, 24, 30 and
39, Order 790 Art. 21, GB/T 35273 9.2, GB/T 42574. What depends on the members and the dataset is checked here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import jsonschema_rs

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.errors import Invalid
from gateway.members.uscc import UsccInvalid, checked_uscc

SCHEMA: Mapping[str, Any] = json.loads((files(__package__) / "notice.schema.json").read_text(encoding="utf-8"))
LONGEST_NOTICE = 256 * 1024
LANGUAGES = ("zh-CN", "en")
CHANNELS = ("email", "phone", "sms", "wechat")
DISCLOSURE, CONTACT = "disclosure", "contact"
PERSONALISATION = "personalisation"
"""The purpose of which suggestions are made by rules."""
_NOBODYS = "ZZ"
"""The country of a member that has stated none."""
_VALIDATOR = jsonschema_rs.Draft202012Validator(dict(SCHEMA))
_MATERIAL = ("recipient", "purpose_text", "methods", "retention", "cross_border", "channels")
_MATERIAL_OF_FIELD = ("name", "category", "sensitive", "need")


class ItemKey(NamedTuple):
    """What an item of a notice is about: a consent names exactly one."""

    recipient: str
    purpose: str
    kind: str


class Company(NamedTuple):
    """A member as the alliance knows it."""

    uscc: str
    country: str


def digest_of(document: Mapping[str, Any]) -> str:
    """The SHA-256 that consents, entries and receipts name the notice by: of its canonical bytes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def items_of(document: Mapping[str, Any]) -> dict[ItemKey, Mapping[str, Any]]:
    """The items by what they are about."""
    return {key_of(item): item for item in document["items"]}


def key_of(item: Mapping[str, Any]) -> ItemKey:
    """What an item is about; one without fields is permission to turn to the person, apart from any disclosure."""
    return ItemKey(item["recipient"]["member"], item["purpose"], DISCLOSURE if "fields" in item else CONTACT)


def check(document: Mapping[str, Any], dataset: Dataset, companies: Mapping[str, Company]) -> None:
    """`Invalid` names the first thing that a notice about this dataset lacks, and the law that asks for it."""
    for error in _VALIDATOR.iter_errors(document):
        raise _lacking(error)
    for index, party in enumerate(document["controllers"]):
        _check_party(party, companies, f"/controllers/{index}")
    if dataset.owner not in [party["member"] for party in document["controllers"]]:
        raise _wrong("/controllers", "Who provides the information is named (PIPL Art. 17 (1)).")
    _check_automated(document)
    seen: set[ItemKey] = set()
    for index, item in enumerate(document["items"]):
        at = f"/items/{index}"
        if ("fields" in item) == ("channels" in item):
            raise _wrong(at, "An item lists either fields to disclose or channels to turn to the person by.")
        if key_of(item) in seen:
            raise _wrong(at, "Another item has this recipient and purpose already.")
        seen.add(key_of(item))
        if item["recipient"]["member"] == dataset.owner:
            raise _wrong(f"{at}/recipient/member", "The recipient is another member.")
        _check_party(item["recipient"], companies, f"{at}/recipient")
        if item["recipient"]["country"] != document["jurisdiction"] and "cross_border" not in item:
            raise _wrong(f"{at}/cross_border", "Information leaves the country on a named ground (PIPL Art. 39).")
        _check_fields(item, dataset, at)


def changed_items(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[ItemKey]:
    """The former's items that are gone, or differ in purpose, method, kinds, recipient, channel or retention.

    What was consented to there is not what is told now (PIPL Art. 14). Any other difference is editorial.
    """
    before, after = items_of(former), items_of(now)
    handled = former["automated_decisions"] != now["automated_decisions"]
    return [key for key, item in before.items() if handled or _matter(item) != _matter(after.get(key, {}))]


def _matter(item: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {name: item.get(name) for name in _MATERIAL}
    if told["recipient"] is not None:
        told["recipient"] = {name: told["recipient"][name] for name in ("name", "uscc", "country")}
    fields = [{name: field[name] for name in _MATERIAL_OF_FIELD} for field in item.get("fields", ())]
    return told | {"fields": sorted(fields, key=lambda field: str(field["name"]))}


def _check_automated(document: Mapping[str, Any]) -> None:
    told = document["automated_decisions"]
    if not told["used"] and any(item["purpose"] == PERSONALISATION for item in document["items"]):
        raise _wrong("/automated_decisions/used", "Whoever personalises decides by automated means (PIPL Art. 24).")
    if told["used"] and "explanation" not in told:
        raise _wrong("/automated_decisions/explanation", "What is decided by automated means is explained (PIPL 24).")


def _check_party(party: Mapping[str, Any], companies: Mapping[str, Company], at: str) -> None:
    try:
        checked_uscc(party["uscc"])
    except UsccInvalid as refused:
        raise _wrong(f"{at}/uscc", refused.detail) from None
    known = companies.get(party["member"])
    if known is None:
        raise _wrong(f"{at}/member", "It is one member of the alliance.")
    if known.uscc != party["uscc"]:
        raise _wrong(f"{at}/uscc", "The member is known under another code.")
    if known.country not in (party["country"], _NOBODYS):
        raise _wrong(f"{at}/country", "The member is known to be of another country.")


def _check_fields(item: Mapping[str, Any], dataset: Dataset, at: str) -> None:
    seen: set[str] = set()
    for number, field in enumerate(item.get("fields", ())):
        here = f"{at}/fields/{number}"
        if field["name"] not in dataset.fields or field["name"] in seen:
            raise _wrong(f"{here}/name", "It is a field of the dataset, named once.")
        seen.add(field["name"])
        if is_sensitive(dataset, field["name"]) and not field["sensitive"]:
            raise _wrong(f"{here}/sensitive", "The dataset holds this field in a sensitive class.")
        if field["sensitive"]:
            _require(field, ("necessity", "impact"), here, "PIPL Art. 30")
            _require(item, ("consequences", "security"), at, "GB/T 35273 9.2")


def _require(told: Mapping[str, Any], texts: tuple[str, ...], at: str, source: str) -> None:
    for text in texts:
        if text not in told:
            raise _wrong(f"{at}/{text}", f"With sensitive information this is told ({source}).")


def is_sensitive(dataset: Dataset, field: str) -> bool:
    """Whether the dataset seals a field in a sensitive class."""
    return dataset.class_of_field[field].split("_")[0] == "sensitive"


def _lacking(error: jsonschema_rs.ValidationError) -> Invalid:
    """What the schema says about the member that is missing or wrong."""
    kind = error.kind.as_dict()
    named = [kind["property"]] if "property" in kind else kind.get("unexpected", [])[:1]
    rule: Any = SCHEMA
    told = "The notice has a closed list of members."
    for step in [*error.schema_path[:-1], *(("properties", *named) if "property" in kind else ())]:
        rule = rule[step]
        if isinstance(rule, dict) and "description" in rule:
            told = str(rule["description"])
    return _wrong("".join(f"/{step}" for step in [*error.instance_path, *named])[:200], told)


def _wrong(at: str, detail: str) -> Invalid:
    return Invalid("notice_incomplete", detail, field=f"/document{at}", remedy="Complete the notice, then publish it.")

"""The door to the engines: only a document that matches this schema exactly is ever evaluated.

Every member is there (of the circumstances those that stand), none is unknown, integers are integers, and strings
are names from a safe character set: no engine sees a quote, a control character or free text. See
docs/decisions/0002-policy-engines.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from gateway.errors import Invalid

NAME_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,127}"
"""What a name in a case may look like. Routes apply it to fields and purposes that partners send."""

_NAME = re.compile(NAME_PATTERN)
_MOST_ITEMS: Final = 512
CIRCUMSTANCES: Final = (
    "owner_participation",
    "recipient_participation",
    "organisation_nda",
    "person_nda",
    "roster",
    "assessment",
    "transfer",
)
"""What may stand beside the terms, each for an interval. One that does not stand is not in the case."""

_SECRETS: Final = ("public", "business_secret", "technical_secret", "customer", "financial")
_MOST_BYTES: Final = 128 * 1024

_Check = Callable[[Any, str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A document that passed the schema, in the forms that are needed of it.

    `input_sha256` is the hex SHA-256 of its canonical JSON, and `key` the SHA-256 of that without `context.now`.
    """

    document: Mapping[str, Any]
    input_sha256: str
    key: bytes
    now: int


def read_case(document: Any) -> Case:
    """The case that a document states; `Invalid` names the member that is missing, unknown or ill-typed.

    It is a copy: whatever becomes of the document, what is decided is what was checked and is hashed.
    """
    _CASE(document, "")
    _graded(document["resource"])
    document = orjson.loads(orjson.dumps(document))
    context = document["context"]
    text = _canonical(document)
    if len(text) > _MOST_BYTES:
        raise Invalid("case_invalid", "The case is too large to decide.", remedy="Ask for fewer fields.")
    timeless = _canonical({**document, "context": {"purpose": context["purpose"]}})
    return Case(document, sha256(text).hexdigest(), sha256(timeless).digest(), context["now"])


def _canonical(document: Any) -> bytes:
    """Canonical JSON (as `gateway.canonical`) of what the schema has passed: ASCII strings, integers below 2**53."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _graded(resource: Mapping[str, Any]) -> None:
    for member in ("grades", "confidential"):
        if not resource["fields"].keys() <= resource[member].keys():
            raise _refuse(f"/resource/{member}", "every field of /resource/fields")


def _refuse(path: str, expected: str) -> Invalid:
    return Invalid("case_invalid", f"Expected {expected}.", field=path or "/", remedy="Correct the case's member.")


def _name(value: Any, path: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _refuse(path, "a name of safe characters")


def _whole(value: Any, path: str) -> None:
    if type(value) is not int or not 0 <= value < 2**53:
        raise _refuse(path, "an integer from 0 to 2**53 - 1")


def _positive(value: Any, path: str) -> None:
    _whole(value, path)
    if value == 0:
        raise _refuse(path, "an integer from 1 to 2**53 - 1")


def _one_of(*words: str) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, str) or value not in words:
            raise _refuse(path, "one of " + ", ".join(words))

    return check


def _record(members: Mapping[str, _Check]) -> _Check:
    names = members.keys()

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict) or value.keys() != names:
            raise _refuse(path, "exactly the members " + ", ".join(names))
        for name, check_member in members.items():
            check_member(value[name], f"{path}/{name}")

    return check


def _any_of(members: Mapping[str, _Check]) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict) or not value.keys() <= members.keys():
            raise _refuse(path, "no members but " + ", ".join(members))
        for name, member in value.items():
            members[name](member, f"{path}/{name}")

    return check


def _list_of(check_item: _Check) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list) or len(value) > _MOST_ITEMS:
            raise _refuse(path, f"a list of at most {_MOST_ITEMS}")
        for item in value:
            check_item(item, path)

    return check


def _names_to(check_member: _Check) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict) or len(value) > _MOST_ITEMS:
            raise _refuse(path, f"an object of at most {_MOST_ITEMS} members")
        for name, member in value.items():
            _name(name, path)
            check_member(member, path)

    return check


_NAMES = _list_of(_name)
_SIGNABLE = _list_of(_one_of("read", "query"))
_INTERVAL = _record({"from": _whole, "until": _whole})

_GRANT = _record({"agreement": _name, "datasets": _NAMES, "purposes": _NAMES, "actions": _NAMES})

_CASE = _record(
    {
        "subject": _record(
            {
                "member": _name,
                "client": _name,
                "member_state": _name,
                "client_state": _name,
                "person": _name,
                "qualified_until": _whole,
                "clearance": _whole,
                "country": _name,
                "grants": _list_of(_GRANT),
            }
        ),
        "action": _record(
            {
                "name": _name,
                "method": _name,
                "fields": _NAMES,
                "filters": _NAMES,
                "includes": _SIGNABLE,
                "signature": _name,
            }
        ),
        "resource": _record(
            {
                "dataset": _name,
                "owner": _name,
                "owner_state": _name,
                "owner_qualified_until": _whole,
                "country": _name,
                "kind": _one_of("market", "product", "personal"),
                "fields": _names_to(_name),
                "grades": _names_to(_positive),
                "confidential": _names_to(_one_of(*_SECRETS)),
            }
        ),
        "context": _record({"now": _whole, "purpose": _name}),
        "agreement": _record(
            {
                "id": _name,
                "version": _whole,
                "state": _name,
                "owner": _name,
                "recipient": _name,
                "starts_at": _whole,
                "ends_at": _whole,
                "granted_fields": _NAMES,
                "purposes": _NAMES,
                "methods": _NAMES,
                "frequency": _record({"reads": _whole, "per_seconds": _positive}),
                "confidentiality_years": _whole,
                "onward": _one_of("forbidden", "written_consent"),
                "signed_messages": _record({"profile": _name, "actions": _SIGNABLE}),
                "volume": _record({"records": _positive, "per_seconds": _positive}),
                "lawful_basis": _name,
                "retention_days": _whole,
                "third_parties": _NAMES,
            }
        ),
        "circumstances": _any_of(dict.fromkeys(CIRCUMSTANCES, _INTERVAL)),
        "onward_consents": _list_of(_record({"purpose": _name, "from": _whole, "until": _whole})),
        "holds": _list_of(_record({"case": _name, "subject": _name, "state": _name, "from": _whole, "until": _whole})),
    }
)

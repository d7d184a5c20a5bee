"""What every policy of an alliance answers, whoever edits it: asked of the engine before it may serve.

The permit catches an engine that refuses everything, the others an engine (or an edited policy) that lets
through what no policy of an alliance may.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.ledger import Effect

_NOW: Final = 1_767_225_600
_ALWAYS: Final = {"from": 0, "until": 253_402_300_799}
_ABSENT: Final = object()
_PAST: Final = {"from": 0, "until": _NOW}
_PLAIN: Final[Mapping[str, Any]] = {
    "subject": {
        "member": "member-a",
        "client": "client-a",
        "member_state": "admitted",
        "client_state": "active",
        "person": "person-1",
        "qualified_until": 253_402_300_799,
        "clearance": 3,
        "country": "CN",
        "grants": [
            {"agreement": "agreement-1", "datasets": ["dataset-1"], "purposes": ["settlement"], "actions": ["read"]}
        ],
    },
    "action": {
        "name": "read",
        "method": "api",
        "fields": ["amount", "due_on"],
        "filters": ["due_on"],
        "includes": ["read"],
        "signature": "profile-1",
    },
    "resource": {
        "dataset": "dataset-1",
        "owner": "member-b",
        "owner_state": "admitted",
        "owner_qualified_until": 253_402_300_799,
        "country": "CN",
        "kind": "personal",
        "fields": {"amount": "plain", "due_on": "plain", "name": "identity"},
        "grades": {"amount": 3, "due_on": 1, "name": 4},
        "confidential": {"amount": "financial", "due_on": "public", "name": "customer"},
    },
    "context": {"now": _NOW, "purpose": "settlement"},
    "agreement": {
        "id": "agreement-1",
        "version": 10,
        "state": "signed",
        "owner": "member-b",
        "recipient": "member-a",
        "starts_at": 999_999_999,
        "ends_at": 10_000_000_000,
        "granted_fields": ["due_on", "amount"],
        "purposes": ["settlement"],
        "methods": ["api"],
        "frequency": {"reads": 100, "per_seconds": 60},
        "confidentiality_years": 5,
        "onward": "written_consent",
        "signed_messages": {"profile": "profile-1", "actions": ["read"]},
        "volume": {"records": 1000, "per_seconds": 60},
        "lawful_basis": "consent",
        "retention_days": 30,
        "third_parties": ["member-d"],
    },
    "circumstances": {
        "owner_participation": _ALWAYS,
        "recipient_participation": _ALWAYS,
        "organisation_nda": _ALWAYS,
        "person_nda": _ALWAYS,
        "roster": _ALWAYS,
        "assessment": _ALWAYS,
    },
    "onward_consents": [{"purpose": "settlement", **_ALWAYS}],
    "holds": [],
}
_HOLD: Final = {"case": "case-1", "subject": "dataset-1", "state": "active", **_ALWAYS}

_EDITS: Final[tuple[tuple[str, str, Any, Effect], ...]] = (
    ("what is agreed is permitted", "context.now", _NOW, Effect.PERMIT),
    ("a lifted hold holds nothing", "holds", [{**_HOLD, "state": "lifted"}], Effect.PERMIT),
    ("the first instant is inside the term", "context.now", 999_999_999, Effect.PERMIT),
    ("an instant before the term", "context.now", 999_999_998, Effect.DENY),
    ("the last instant is outside the term", "context.now", 10_000_000_000, Effect.DENY),
    ("a member not admitted", "subject.member_state", "prospect", Effect.DENY),
    ("a member suspended", "subject.member_state", "suspended", Effect.DENY),
    ("an owner suspended", "resource.owner_state", "suspended", Effect.DENY),
    ("a client revoked", "subject.client_state", "revoked", Effect.DENY),
    ("a draft", "agreement.state", "draft", Effect.DENY),
    ("an agreement terminated", "agreement.state", "terminated", Effect.DENY),
    ("another member's agreement", "agreement.recipient", "member-c", Effect.DENY),
    ("another owner's data", "resource.owner", "member-c", Effect.DENY),
    ("a field not granted", "action.fields", ["amount", "name"], Effect.DENY),
    ("no field at all", "action.fields", [], Effect.DENY),
    ("a filter on a field that is not asked for", "action.filters", ["name"], Effect.DENY),
    ("a token for nothing", "subject.grants", [], Effect.DENY),
    ("a method not agreed", "agreement.methods", ["file"], Effect.DENY),
    ("a purpose unknown", "context.purpose", "curiosity", Effect.DENY),
    ("a purpose not agreed", "agreement.purposes", ["risk_control"], Effect.DENY),
    ("no signature where one is agreed", "action.signature", "none", Effect.DENY),
    ("a signature by another profile", "action.signature", "profile-2", Effect.DENY),
    ("a signature that nobody demands", "agreement.signed_messages", {"profile": "none", "actions": []}, Effect.PERMIT),
    ("an active hold", "holds", [_HOLD], Effect.DENY),
    ("a hold that has run out", "holds", [{**_HOLD, "until": _NOW}], Effect.PERMIT),
    ("papers that have run out", "subject.qualified_until", _NOW, Effect.DENY),
    ("an owner's papers that have run out", "resource.owner_qualified_until", _NOW, Effect.DENY),
    ("no frequency agreed", "agreement.frequency", {"reads": 0, "per_seconds": 1}, Effect.DENY),
    ("an owner that left", "circumstances.owner_participation", _PAST, Effect.DENY),
    ("a recipient that never joined", "circumstances.recipient_participation", _ABSENT, Effect.DENY),
    ("no lawful basis", "agreement.lawful_basis", "none", Effect.DENY),
    ("a basis that is none for persons", "agreement.lawful_basis", "non_personal", Effect.DENY),
    ("a person off the roster", "circumstances.roster", _PAST, Effect.DENY),
    ("a person without an NDA reads what is public", "circumstances.person_nda", _ABSENT, Effect.PERMIT),
    ("a grade above the clearance", "subject.clearance", 2, Effect.DENY),
    ("important data", "resource.grades", {"amount": 5, "due_on": 1, "name": 4}, Effect.DENY),
    ("no impact assessment", "circumstances.assessment", _ABSENT, Effect.DENY),
    ("across a border", "subject.country", "SG", Effect.DENY),
    ("a third party with the owner's consent", "subject.member", "member-d", Effect.PERMIT),
    ("somebody whom the terms do not name", "subject.member", "member-e", Effect.DENY),
)


_PAIRS_OF_EDITS: Final[tuple[tuple[str, Mapping[str, Any], Effect], ...]] = (
    (
        "a third party for a purpose that the owner has not consented to",
        {"subject.member": "member-d", "onward_consents": [{"purpose": "risk_control", **_ALWAYS}]},
        Effect.DENY,
    ),
    (
        "a third party whose consent has ended",
        {"subject.member": "member-d", "onward_consents": [{"purpose": "settlement", **_PAST}]},
        Effect.DENY,
    ),
    (
        "nothing but what is confidential, without an NDA",
        {"circumstances.person_nda": _ABSENT, "action.fields": ["amount"]},
        Effect.DENY,
    ),
    (
        "a filter on what is masked",
        {"circumstances.organisation_nda": _PAST, "action.filters": ["amount"]},
        Effect.DENY,
    ),
    (
        "across a border under a transfer mechanism",
        {"subject.country": "SG", "circumstances.transfer": _ALWAYS},
        Effect.PERMIT,
    ),
    ("two countries that nobody has stated", {"subject.country": "ZZ", "resource.country": "ZZ"}, Effect.DENY),
)


def vectors() -> Iterator[tuple[str, dict[str, Any], Effect]]:
    """Name, case document and effect of each."""
    for name, place, value, effect in _EDITS:
        yield name, _edited({place: value}), effect
    for name, edits, effect in _PAIRS_OF_EDITS:
        yield name, _edited(edits), effect


def _edited(edits: Mapping[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(dict(_PLAIN))
    for place, value in edits.items():
        *outer, last = place.split(".")
        part = document
        for member in outer:
            part = part[member]
        if value is _ABSENT:
            del part[last]
        else:
            part[last] = value
    return document

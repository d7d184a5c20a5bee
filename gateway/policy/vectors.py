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
_PLAIN: Final[Mapping[str, Any]] = {
    "subject": {
        "member": "member-a",
        "client": "client-a",
        "member_state": "admitted",
        "client_state": "active",
        "grants": [
            {"agreement": "agreement-1", "datasets": ["dataset-1"], "purposes": ["settlement"], "actions": ["read"]}
        ],
    },
    "action": {
        "name": "read",
        "method": "api",
        "fields": ["amount", "due_on"],
        "includes": ["read"],
        "signature": "profile-1",
    },
    "resource": {
        "dataset": "dataset-1",
        "owner": "member-b",
        "owner_state": "admitted",
        "kind": "personal",
        "fields": {"amount": "plain", "due_on": "plain", "name": "identity"},
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
        "onward": "forbidden",
        "signed_messages": {"profile": "profile-1", "actions": ["read"]},
    },
    "holds": [],
}
_HOLD: Final = {"case": "case-1", "subject": "dataset-1", "state": "active"}

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
    ("a token for nothing", "subject.grants", [], Effect.DENY),
    ("a method not agreed", "agreement.methods", ["file"], Effect.DENY),
    ("a purpose unknown", "context.purpose", "curiosity", Effect.DENY),
    ("a purpose not agreed", "agreement.purposes", ["risk_control"], Effect.DENY),
    ("no signature where one is agreed", "action.signature", "none", Effect.DENY),
    ("a signature by another profile", "action.signature", "profile-2", Effect.DENY),
    ("a signature that nobody demands", "agreement.signed_messages", {"profile": "none", "actions": []}, Effect.PERMIT),
    ("an active hold", "holds", [_HOLD], Effect.DENY),
)


def vectors() -> Iterator[tuple[str, dict[str, Any], Effect]]:
    """Name, case document and effect of each."""
    for name, place, value, effect in _EDITS:
        document = copy.deepcopy(dict(_PLAIN))
        *outer, last = place.split(".")
        part = document
        for member in outer:
            part = part[member]
        part[last] = value
        yield name, document, effect

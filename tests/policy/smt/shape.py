"""What the policy's input may be: all that `gateway/policy/case.py` lets through to the engines, and more.

A value from a closed list is any word here, and a positive number any number: what is proven holds for those too.
The only thing to extend when a rule reads a new member. A test holds it against the door, member by member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.policy import CIRCUMSTANCES

NAME: Final = "name"
WHOLE: Final = "whole"
Leaf = Literal["name", "whole"]


@dataclass(frozen=True)
class ListOf:
    """An array of any length."""

    item: Shape


@dataclass(frozen=True)
class MapOf:
    """An object from names to one kind of value, with any number of members."""

    item: Shape


@dataclass(frozen=True)
class Maybe:
    """A member that may be absent."""

    item: Shape


Shape = Leaf | ListOf | MapOf | Maybe | Mapping[str, "Shape"]

_NAMES: Final = ListOf(NAME)
_INTERVAL: Final[Mapping[str, Shape]] = {"from": WHOLE, "until": WHOLE}

INPUT: Final[Shape] = {
    "subject": {
        "member": NAME,
        "client": NAME,
        "member_state": NAME,
        "client_state": NAME,
        "person": NAME,
        "qualified_until": WHOLE,
        "clearance": WHOLE,
        "country": NAME,
        "grants": ListOf({"agreement": NAME, "datasets": _NAMES, "purposes": _NAMES, "actions": _NAMES}),
    },
    "action": {
        "name": NAME,
        "method": NAME,
        "fields": _NAMES,
        "filters": _NAMES,
        "includes": _NAMES,
        "signature": NAME,
    },
    "resource": {
        "dataset": NAME,
        "owner": NAME,
        "owner_state": NAME,
        "owner_qualified_until": WHOLE,
        "country": NAME,
        "kind": NAME,
        "fields": MapOf(NAME),
        "grades": MapOf(WHOLE),
        "confidential": MapOf(NAME),
    },
    "context": {"now": WHOLE, "purpose": NAME},
    "agreement": {
        "id": NAME,
        "version": WHOLE,
        "state": NAME,
        "owner": NAME,
        "recipient": NAME,
        "starts_at": WHOLE,
        "ends_at": WHOLE,
        "granted_fields": _NAMES,
        "purposes": _NAMES,
        "methods": _NAMES,
        "frequency": {"reads": WHOLE, "per_seconds": WHOLE},
        "confidentiality_years": WHOLE,
        "onward": NAME,
        "signed_messages": {"profile": NAME, "actions": _NAMES},
        "volume": {"records": WHOLE, "per_seconds": WHOLE},
        "lawful_basis": NAME,
        "retention_days": WHOLE,
        "third_parties": _NAMES,
    },
    "circumstances": dict.fromkeys(CIRCUMSTANCES, Maybe(_INTERVAL)),
    "onward_consents": ListOf({"purpose": NAME, **_INTERVAL}),
    "holds": ListOf({"case": NAME, "subject": NAME, "state": NAME, **_INTERVAL}),
}

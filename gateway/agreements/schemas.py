"""The bodies that members send, as OpenAPI shows them; they are read strictly from their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.agreements import dataset_terms as parts
from gateway.agreements import general_terms as general
from gateway.agreements import terms
from gateway.agreements.fields import (
    FIELD_NAME,
    IDENTIFIER,
    LONGEST_PROSE,
    LONGEST_TITLE,
    LONGEST_VALUE,
    PURPOSE,
    TEMPLATE,
)
from gateway.canonical import parse
from gateway.errors import Invalid

LONGEST_BODY = 2 * terms.LONGEST_TEXT
"""A signature carries the terms once more, in base64url."""


def read_jws(body: bytes) -> str:
    """The `jws` of a signature's body, which has no other member."""
    value = parse(body)
    if not isinstance(value, dict) or value.keys() != {"jws"} or not isinstance(value["jws"], str):
        raise Invalid("signature_body_malformed", "The body is an object with the string jws alone.", field="/jws")
    return str(value["jws"])


def _object(properties: dict[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _several(item: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": most, "uniqueItems": True}


def _name(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$", "maxLength": 64}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


_INSTANT = {"type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2026-01-31T00:00:00Z"]}
_PROSE = {"type": "string", "minLength": 1, "maxLength": LONGEST_PROSE}
_WINDOW_S = _whole(1, parts.LONGEST_WINDOW_S)
_ROWS = _several(
    _object(
        {
            "field": _name(FIELD_NAME),
            "in": _several({"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}, parts.MOST_VALUES),
        }
    ),
    parts.MOST_PREDICATES,
)
_CADENCE = _object(
    {
        "every": {"enum": list(parts.EVERY)},
        "on": _whole(0, 31),
        "by": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"},
        "time_zone": {"type": "string", "examples": ["Asia/Shanghai"]},
        "calendar": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "grace_days": _whole(0, parts.LONGEST_GRACE_DAYS),
        "first": {"type": "string", "format": "date"},
    }
)
_DATASET = _object(
    {
        "dataset": _name(IDENTIFIER),
        "fields": _several(_name(FIELD_NAME), parts.MOST_FIELDS),
        "purposes": _several(_name(PURPOSE), parts.MOST_PURPOSES),
        "methods": _several({"enum": list(parts.METHODS)}, len(parts.METHODS)),
    },
    optional={
        "rows": _ROWS,
        "volume": _object({"records": _whole(1, parts.MOST_VOLUME), "per_seconds": _WINDOW_S}),
        "cadence": _CADENCE,
        "lawful_basis": {"enum": list(parts.LAWFUL_BASES)},
        "retention_days": _whole(1, parts.LONGEST_RETENTION_DAYS),
    },
)
_SIGNED_MESSAGES = _object(
    {
        "profile": {"enum": list(general.PROFILES)},
        "actions": _several({"enum": list(general.SIGNED_ACTIONS)}, len(general.SIGNED_ACTIONS)),
    }
)
_DISPUTE = _object(
    {
        "forum": {"enum": list(general.FORUMS)},
        "body": {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE},
        "negotiation_days": _whole(0, general.LONGEST_NEGOTIATION_DAYS),
    }
)
_SHARE_BP = _whole(0, general.WHOLE_BP)

PROPOSAL = _object(
    {
        "owner": _name(IDENTIFIER),
        "recipient": _name(IDENTIFIER),
        "title": {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE},
        "datasets": _several(_DATASET, parts.MOST_DATASETS),
        "start": _INSTANT,
        "end": _INSTANT,
        "confidentiality_years": _whole(0, terms.LONGEST_CONFIDENTIALITY_YEARS),
        "onward": {"enum": list(terms.ONWARD)},
    },
    optional={
        "frequency": _object({"reads": _whole(1, general.MOST_READS), "per_seconds": _WINDOW_S}),
        "signed_messages": _SIGNED_MESSAGES,
        "third_parties": _several(_name(IDENTIFIER), general.MOST_THIRD_PARTIES),
        "remedies": _object({"cure_days": _whole(0, general.LONGEST_CURE_DAYS)}),
        "dispute": _DISPUTE,
        "revenue_ratio": _object({"owner_bp": _SHARE_BP, "recipient_bp": _SHARE_BP}),
        "rights_and_duties": _PROSE,
        "liability": _PROSE,
        "amends": _name(IDENTIFIER),
        "template": _name(TEMPLATE),
    },
)
SIGNATURE = _object({"jws": {"type": "string"}})

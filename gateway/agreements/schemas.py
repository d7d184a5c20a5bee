"""The bodies that members send, as OpenAPI shows them; they are read strictly from their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.agreements import terms
from gateway.agreements.fields import FIELD_NAME, IDENTIFIER, LONGEST_TITLE, PURPOSE
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

PROPOSAL = _object(
    {
        "owner": _name(IDENTIFIER),
        "recipient": _name(IDENTIFIER),
        "title": {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE},
        "datasets": _several(
            _object(
                {
                    "dataset": _name(IDENTIFIER),
                    "fields": _several(_name(FIELD_NAME), terms.MOST_FIELDS),
                    "purposes": _several(_name(PURPOSE), terms.MOST_PURPOSES),
                    "methods": _several({"enum": list(terms.METHODS)}, len(terms.METHODS)),
                },
                optional={
                    "rows": _several(
                        _object(
                            {
                                "field": _name(FIELD_NAME),
                                "in": _several(
                                    {"type": "string", "minLength": 1, "maxLength": terms.LONGEST_ROW_VALUE},
                                    terms.MOST_ROW_VALUES,
                                ),
                            }
                        ),
                        terms.MOST_ROW_PREDICATES,
                    ),
                    "volume": _object(
                        {
                            "records": _whole(1, terms.MOST_RECORDS),
                            "per_seconds": _whole(1, terms.LONGEST_WINDOW_S),
                        }
                    ),
                },
            ),
            terms.MOST_DATASETS,
        ),
        "frequency": _object({"reads": _whole(1, terms.MOST_READS), "per_seconds": _whole(1, terms.LONGEST_WINDOW_S)}),
        "start": _INSTANT,
        "end": _INSTANT,
        "confidentiality_years": _whole(0, terms.LONGEST_CONFIDENTIALITY_YEARS),
        "onward": {"enum": list(terms.ONWARD)},
    },
    optional={
        "signed_messages": _object(
            {
                "profile": {"enum": list(terms.PROFILES)},
                "actions": _several({"enum": list(terms.SIGNED_ACTIONS)}, len(terms.SIGNED_ACTIONS)),
            }
        )
    },
)
SIGNATURE = _object({"jws": {"type": "string"}})

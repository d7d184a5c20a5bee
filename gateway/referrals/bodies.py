"""The bodies of requests about referrals, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Final

from gateway.referrals.acts import ACTS, LONGEST_NOTE, REASONS
from gateway.referrals.policy import BASIS_POINTS, MOST_SHARES, RANGES, Rule, Tells
from gateway.referrals.preview import LONGEST, PARTS

_TEXT: Final = {"type": "string"}
_PREVIEW: Final[dict[str, Any]] = {
    "type": "object",
    "required": list(PARTS),
    "additionalProperties": False,
    "properties": {name: {"type": "string", "minLength": 1, "maxLength": LONGEST} for name in PARTS},
}
_VALUE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["minor", "currency"],
    "additionalProperties": False,
    "properties": {"minor": {"type": "integer", "minimum": 1}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
}
DRAFT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["agreement", "dataset", "subject", "preview"],
    "additionalProperties": False,
    "properties": {
        "agreement": _TEXT,
        "dataset": _TEXT,
        "subject": _TEXT,
        "purpose": _TEXT,
        "preview": _PREVIEW,
        "contact": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"phone": _TEXT, "email": _TEXT},
        },
    },
}
ACT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["act"],
    "additionalProperties": False,
    "properties": {
        "act": {"enum": list(ACTS)},
        "preview": _PREVIEW,
        "reason": {"enum": list(REASONS)},
        "about": {"enum": list(PARTS)},
        "value": _VALUE,
        "step": {"enum": ["hold", "release", "settle"]},
        "note": {"type": "string", "maxLength": LONGEST_NOTE},
    },
}
DISCLOSURE: Final[dict[str, Any]] = {"type": "object", "additionalProperties": False, "properties": {}}
POLICY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["rule"],
    "additionalProperties": False,
    "properties": {
        "rule": {"enum": [one.value for one in Rule]},
        "weights": {
            "type": "array",
            "minItems": 2,
            "maxItems": MOST_SHARES,
            "items": {"type": "integer", "minimum": 0, "maximum": BASIS_POINTS},
        },
        "tells": {"enum": [one.value for one in Tells]},
        **{name: {"type": "integer", "minimum": least, "maximum": most} for name, (least, most) in RANGES.items()},
    },
}

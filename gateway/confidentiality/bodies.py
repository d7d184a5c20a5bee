"""The bodies that members send, as OpenAPI shows them; they are read strictly from their bytes."""

from __future__ import annotations

from typing import Any

from gateway.agreements.fields import FIELD_NAME, IDENTIFIER, LONGEST_TITLE
from gateway.confidentiality.assessments import LEAST_RETENTION_YEARS, SECTIONS
from gateway.confidentiality.memos import ANSWERS, LONGEST_MEMO
from gateway.confidentiality.releases import GROUNDS
from gateway.confidentiality.statements import SHA256
from gateway.confidentiality.transfers import KINDS

LONGEST = 65_536
"""Bytes of a body."""


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


_INSTANT = {"type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2027-01-31T00:00:00Z"]}
_ID = {"type": "string", "pattern": f"^{IDENTIFIER}$"}
_DIGEST = {"type": "string", "pattern": f"^{SHA256}$"}
_SENTENCE = {"type": "string", "minLength": 1, "maxLength": LONGEST_TITLE}

PERSON = _object({"name": _SENTENCE})
STATEMENT = _object({"jws": {"type": "string"}})
LISTING = _object({}, until=_INSTANT)
RELEASE = _object(
    {
        "fields": {"type": "array", "items": {"type": "string", "pattern": f"^{FIELD_NAME}$"}, "minItems": 1},
        "ground": {"enum": list(GROUNDS)},
        "evidence_sha256": _DIGEST,
    }
)
ASSESSMENT = _object(
    {
        "from": _INSTANT,
        "until": _INSTANT,
        "sections": _object({name: {"type": "string", "minLength": 1} for name in SECTIONS}),
        "report_sha256": _DIGEST,
        "retention_years": {"type": "integer", "minimum": LEAST_RETENTION_YEARS},
    }
)
TRANSFER = _object({"kind": {"enum": list(KINDS)}, "number": _SENTENCE, "until": _INSTANT})
MEMO = _object(
    {
        "owner": _ID,
        "said": {"type": "string", "minLength": 1, "maxLength": LONGEST_MEMO},
        "by": _SENTENCE,
        "to": _SENTENCE,
        "said_at": _INSTANT,
        "answer_within_days": {"type": "integer", "minimum": 1, "maximum": 90},
    }
)
ANSWER = _object({"answer": {"enum": list(ANSWERS)}})
SEARCH = _object({"text": _SENTENCE})

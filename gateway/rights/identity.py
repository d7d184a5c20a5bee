"""How it is shown who asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.agreements.fields import choice, matching, members
from gateway.errors import Invalid
from gateway.rights.request import Request

METHODS: Final = ("document", "account", "counter", "called_back")
"""How an owner saw who it is: by a document, in the person's account, at a counter, by calling a known number back."""

_DIGEST = re.compile("[0-9a-f]{64}")
_WORD: Final = "[A-Za-z0-9._-]{1,64}"


def stated(of: Request, given: Mapping[str, Any]) -> dict[str, Any]:
    """What an owner states: `method`, `staff` (a number), and `evidence_sha256` where somebody asks for another.

    A relative shows the death and the kinship, a guardian the guardianship (PIPL 31, 49); the owner keeps the papers.
    """
    members(given, ("method", "staff"), "", optional=("evidence_sha256",))
    found: dict[str, Any] = {
        "how": choice(given["method"], "/method", METHODS),
        "staff": matching(given["staff"], "/staff", _WORD),
    }
    evidence = given.get("evidence_sha256")
    if evidence is not None or of.behalf != "self":
        if not isinstance(evidence, str) or not _DIGEST.fullmatch(evidence):
            raise Invalid(
                "evidence_missing",
                "Whoever asks for somebody else shows by which right.",
                field="/evidence_sha256",
                remedy="Name the SHA-256 of the paper that you keep.",
            )
        found["evidence_sha256"] = evidence
    return found

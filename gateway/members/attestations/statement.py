"""A statement as a member signs it: a compact JWS of `typ` `attestation+jws`, with the key's fingerprint as `kid`.

Its payload is canonical JSON: `alliance` and `member` (who states it, where), `about` (`member`, or a dataset's id),
`record` (optional: one record of that dataset), `statement` (the words), `source` (optional: where the datum comes
from), and `corrects` (optional: the id of the attestation that it takes the place of).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.canonical import parse_canonical
from gateway.characters import shown_as_written
from gateway.errors import Invalid
from gateway.identity.jws import take_apart, verify_compact
from gateway.members.keys import SIGNING_ALGORITHMS

TYP: Final = "attestation+jws"
LARGEST: Final = 4 * 1024
"""So that the original fits into the entry of a breach."""
OF_THE_MEMBER: Final = "member"
_LONGEST: Final = 2000
_ID = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NEEDED: Final = frozenset(("alliance", "member", "about", "statement"))
_ALLOWED: Final = _NEEDED | {"record", "source", "corrects"}


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed; '' for what it does not say."""

    alliance: str
    member: str
    about: str
    statement: str
    record: str = ""
    source: str = ""
    corrects: str = ""


def named_key(jws: str) -> str:
    """The fingerprint that a statement says it was signed with; nothing is verified yet."""
    kid = take_apart(jws, limit=LARGEST).header.get("kid")
    if not isinstance(kid, str):
        raise Invalid("signature_names_no_key", "The header has no kid.", field="jws", remedy="Put the fingerprint in.")
    return kid


def verified(jws: str, jwk: Mapping[str, str]) -> Statement:
    """The statement, if the signature by `jwk` holds and every member is as it must be; else `Invalid`."""
    take_apart(jws, limit=LARGEST)
    payload = parse_canonical(verify_compact(jws, jwk, typ=TYP, algorithms=(*SIGNING_ALGORITHMS, "EdDSA")))
    if not isinstance(payload, dict) or not _NEEDED <= payload.keys() <= _ALLOWED:
        raise Invalid(
            "statement_malformed",
            "A statement has alliance, member, about and statement; record, source and corrects are optional.",
            field="jws",
        )
    for name, value in payload.items():
        _check(name, value)
    if "record" in payload and payload["about"] == OF_THE_MEMBER:
        raise Invalid("statement_malformed", "A record belongs to a dataset.", field="record")
    return Statement(**payload)


def _check(name: str, value: Any) -> None:
    """An id, or some words, shown as they were signed."""
    free = name in ("statement", "source")
    right = isinstance(value, str) and (0 < len(value.strip()) <= _LONGEST if free else bool(_ID.fullmatch(value)))
    if not right:
        raise Invalid("statement_malformed", "This part of the statement is not as it must be.", field=name)
    shown_as_written(value, name, lines=free)

"""Statements that a member signs: an NDA, an onward grant, a release. A compact JWS that carries its canonical text.

The text says everything that the gateway reads from it, its `kind`, alliance and member included, so that a
signature made for one use cannot pass for another. The `typ` of the header says the kind once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.agreements.fields import matching, members, text
from gateway.agreements.signatures import binding_key, named_key
from gateway.canonical import parse_canonical
from gateway.database import Reading, Transaction
from gateway.errors import Conflicting, Invalid
from gateway.identity.jws import COMPACT_BYTES, take_apart, thumbprint, verify_compact
from gateway.members.keys import SIGNING_ALGORITHMS, SigningKey, signing_key

VERSION = 1
NONCE = "[A-Za-z0-9_-]{16,64}"
"""What makes two statements of equal content two: one that has ended cannot be filed again."""
SHA256 = "[0-9a-f]{64}"
_ALGORITHMS = (*SIGNING_ALGORITHMS, "EdDSA")
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement taken apart; its signature is not verified yet. `sha256` names the text, not the signature.

    An ECDSA signature can be altered so that it still holds: whoever asks whether a statement was filed before
    compares the text.
    """

    typ: str
    jws: str
    fingerprint: str
    said: Mapping[str, Any]
    sha256: str

    @classmethod
    def read(cls, jws: str, *, typ: str, kind: str, names: Sequence[str]) -> Statement:
        """Take a compact JWS apart. Its text is canonical JSON with `v`, `kind`, `nonce` and exactly these names."""
        fingerprint = named_key(jws)
        payload = take_apart(jws, limit=COMPACT_BYTES).payload
        if len(payload) > _LONGEST:
            raise Invalid("statement_too_long", f"A statement has at most {_LONGEST} bytes.", field="/jws")
        said = parse_canonical(payload)
        members(said, ("v", "kind", "nonce", *names), "")
        if type(said["v"]) is not int or said["v"] != VERSION or said["kind"] != kind:
            raise Invalid("statement_of_another_kind", f"This is no {kind} of version 1.", field="/kind")
        matching(said["nonce"], "/nonce", NONCE)
        return cls(typ, jws, fingerprint, said, hashlib.sha256(payload).hexdigest())

    def name(self, member: str, expected: str) -> None:
        """`Invalid` unless the text names exactly this under a member."""
        if text(self.said[member], f"/{member}") != expected:
            raise Invalid("statement_of_another", "The text names another.", field=f"/{member}")

    def verify(self, jwk: Mapping[str, str]) -> None:
        """Return if the signature is by this key; `JwsRefused` otherwise."""
        verify_compact(self.jws, jwk, typ=self.typ, algorithms=_ALGORITHMS)


async def verified_key(tx: Transaction, statement: Statement, *, member: str, confirmed_by: str | None) -> SigningKey:
    """The member's key that signed the statement, as `binding_key` finds it; `SignatureRefused`, `JwsRefused` else."""
    key = await binding_key(tx, statement.fingerprint, member=member, confirmed_by=confirmed_by)
    statement.verify(key.jwk)
    return key


async def still_proves(reading: Reading, statement: Statement, *, member: str, signed_at: int) -> bool:
    """Whether a stored statement is what this member signed, by a key that was active when it was filed (ms)."""
    key = await signing_key(reading, statement.fingerprint)
    if key is None or key.member != member or (key.revoked_at is not None and signed_at > key.revoked_at):
        return False
    try:
        genuine = thumbprint(key.jwk) == key.fingerprint
        statement.verify(key.jwk)
    except Invalid:
        return False
    return genuine


def spent() -> Conflicting:
    """The refusal of a statement that was filed before and has ended."""
    return Conflicting(
        "statement_spent",
        "This statement was filed before, and has ended.",
        field="/jws",
        remedy="Sign a new one, with a new nonce.",
    )

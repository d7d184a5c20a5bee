"""One side's signature under an agreement: a compact JWS whose payload is the terms, byte for byte.

Its header carries `typ: agreement+jws`, so that nothing signed for another use can pass for it, and `kid`, the
fingerprint of the signing key. This is the members' own signature; the gateway never holds the private key.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.database import Transaction
from gateway.errors import Invalid
from gateway.identity.client_keys import is_client_key
from gateway.identity.jws import COMPACT_BYTES, take_apart, verify_compact
from gateway.members.keys import SIGNING_ALGORITHMS, SigningKey, held_signing_key, is_confirmed

TYP = "agreement+jws"
_ALGORITHMS = (*SIGNING_ALGORITHMS, "EdDSA")


class SignatureRefused(Invalid):
    """The JWS is not this key's signature over these terms."""

    def __init__(self, code: str, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(code, detail, field="jws", remedy=remedy)


def named_key(jws: str) -> str:
    """The fingerprint that a signature says it was made with; nothing is verified yet."""
    kid = take_apart(jws, limit=COMPACT_BYTES).header.get("kid")
    if not isinstance(kid, str):
        raise SignatureRefused("signature_names_no_key", "The header has no kid.", remedy="Put the fingerprint in kid.")
    return kid


async def binding_key(tx: Transaction, fingerprint: str, *, member: str, confirmed_by: str | None) -> SigningKey:
    """The member's key of this fingerprint, fit to bind the company and kept so until the transaction ends.

    It is an active signing key of this member and no client's; `SignatureRefused` otherwise. `confirmed_by` is the
    other side, which must have confirmed it; None where the alliance is: two of its operators registered the key.
    """
    key = await held_signing_key(tx, fingerprint)
    if key is None or key.member != member:
        raise SignatureRefused("signing_key_unknown", "This is no signing key of yours.")
    if key.state != "active":
        raise SignatureRefused("signing_key_revoked", "This key has been revoked.", remedy="Sign with another key.")
    if await is_client_key(tx, fingerprint):
        raise SignatureRefused("signing_key_is_client_key", "A client's key cannot bind the company.")
    if confirmed_by is not None and not await is_confirmed(tx, by=confirmed_by, fingerprint=fingerprint):
        raise SignatureRefused(
            "signing_key_unconfirmed",
            "The other side has not confirmed this key.",
            remedy="Give it the fingerprint over another channel.",
        )
    return key


def signed_text(jws: str) -> bytes:
    """The bytes that a signature says it was made over; nothing is verified yet."""
    return take_apart(jws, limit=COMPACT_BYTES).payload


def verify_signature(jws: str, jwk: Mapping[str, str], text: bytes) -> None:
    """Return if the JWS is a signature by `jwk` over exactly `text`; `SignatureRefused` or `JwsRefused` otherwise."""
    if verify_compact(jws, jwk, typ=TYP, algorithms=_ALGORITHMS) != text:
        raise SignatureRefused(
            "signature_over_other_text", "What was signed are not these terms.", remedy="Sign the bytes of /terms."
        )

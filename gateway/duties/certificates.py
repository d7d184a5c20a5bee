"""A member's certificate that it returned or destroyed what it received: a compact JWS over a text the gateway gives.

Its header carries `typ: destruction-certificate+jws` and `kid`, the fingerprint of the member's key for agreements, so
that no other signature passes for it. The gateway attests what was signed and when, not what happened to the data.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.agreements import Agreement
from gateway.agreements.signatures import SignatureRefused, binding_key, named_key
from gateway.canonical import canonical
from gateway.database import Transaction
from gateway.errors import Invalid
from gateway.identity.jws import verify_compact
from gateway.members.keys import SIGNING_ALGORITHMS

TYP: Final = "destruction-certificate+jws"
OUTCOMES: Final = ("destroyed", "returned")
_ALGORITHMS: Final = (*SIGNING_ALGORITHMS, "EdDSA")


def certificate_text(agreement: Agreement, member: str, outcome: str) -> bytes:
    """The exact bytes to sign; `Invalid` for an outcome that is none."""
    if outcome not in OUTCOMES:
        raise Invalid("outcome_unknown", f"One of {', '.join(OUTCOMES)}.", field="outcome")
    assert agreement.terms is not None
    said: dict[str, Any] = {
        "v": 1,
        "agreement": agreement.id,
        "terms_sha256": agreement.sha256,
        "owner": agreement.owner,
        "member": member,
        "datasets": [term.dataset for term in agreement.terms.datasets],
        "outcome": outcome,
        "statement": "Everything received under this agreement and those that it replaced, copies included, "
        "has been dealt with as stated.",
    }
    return canonical(said)


async def verified(tx: Transaction, agreement: Agreement, member: str, jws: str) -> tuple[str, str]:
    """The outcome that a certificate states, and its key's fingerprint; kept so until the transaction ends.

    The key is an active signing key of the member, no client's, and confirmed by the owner; `SignatureRefused`,
    `JwsRefused` otherwise, and for a signature over any other text.
    """
    fingerprint = named_key(jws)
    key = await binding_key(tx, fingerprint, member=member, confirmed_by=agreement.owner)
    signed = verify_compact(jws, key.jwk, typ=TYP, algorithms=_ALGORITHMS)
    for outcome in OUTCOMES:
        if signed == certificate_text(agreement, member, outcome):
            return outcome, fingerprint
    raise SignatureRefused(
        "signature_over_other_text",
        "What was signed is not the certificate.",
        remedy="Sign the bytes that you fetched.",
    )

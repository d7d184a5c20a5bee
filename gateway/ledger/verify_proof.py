"""Checks offline that the entry of a receipt stands in its log, trusting nothing but public keys.

The gateway's key says that the receipt is the gateway's, the log's key that the tree is the log's, and the tree that
the entry is in it. When the receipt was issued is not asked: no date of a receipt puts an entry into a signed tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.ledger import receipts
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.inclusion import InclusionProof
from gateway.ledger.merkle import verify_inclusion
from gateway.ledger.note import UntrustedKey, VerifierKey
from gateway.ledger.verify import Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and what was found, in a sentence."""

    outcome: Outcome
    sentence: str


class _Ended(Exception):
    """There is a verdict before the end."""

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.verdict = Verdict(outcome, sentence)


def verify_proof(proof: bytes, vkey: str, receipt: str, jwks: bytes) -> Verdict:
    """Whether the receipt's entry stands where a tlog-proof says, in a tree that the log's key (a vkey) signed.

    `jwks` is the key set of receipts, as the gateway publishes it. Never raises on malformed input. `tampered`: a
    signature does not hold, the receipt is of another log, or its entry does not stand there. `incomplete`: something
    cannot be read, or is signed by a key that was not given; then the rest was not looked at.
    """
    try:
        return Verdict(Outcome.OK, _standing(proof, vkey, receipt, jwks))
    except _Ended as early:
        return early.verdict


def _standing(proof: bytes, vkey: str, receipt: str, jwks: bytes) -> str:
    with _about("The verifier key", Outcome.INCOMPLETE):
        key = VerifierKey.parse(vkey)
    with _about("The proof", Outcome.INCOMPLETE):
        shown = InclusionProof.parse(proof)
    with _about("The key set", Outcome.INCOMPLETE):
        keys = parse(jwks)
    with _about("The receipt", Outcome.INCOMPLETE):
        named = receipts.named_key(receipt, keys)
    with _about("The receipt", Outcome.TAMPERED):
        stated = receipts.verify(receipt, named)
    with _about("The checkpoint", Outcome.TAMPERED):
        signed = Checkpoint.verify(shown.checkpoint, key)
    if stated.origin != signed.origin:
        raise _Ended(Outcome.TAMPERED, "The receipt is of another log than the checkpoint.")
    with _about("The entry does not stand there", Outcome.TAMPERED):
        verify_inclusion(shown.index, signed.size, stated.leaf_hash, signed.root, shown.hashes)
    return f"The receipt's entry {stated.event_id} is entry {shown.index} of {signed.size} in {signed.origin}."


@contextmanager
def _about(what: str, otherwise: Outcome) -> Iterator[None]:
    """End with this outcome where something does not hold; a key that is not trusted is always `incomplete`."""
    try:
        yield
    except UntrustedKey as error:
        raise _Ended(Outcome.INCOMPLETE, _sentence(what, error)) from None
    except Invalid as error:
        raise _Ended(otherwise, _sentence(what, error)) from None


def _sentence(what: str, error: Invalid) -> str:
    return f"{what}: {error.detail} {error.remedy or ''}".rstrip()

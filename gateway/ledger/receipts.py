"""The signed answer to a caller: this entry stands in that log.

A receipt names the entry by its hash, not by its place: how many entries a log has is its owner's to know.
It is a compact JWS (RFC 7515), `typ: access-receipt+jws`, `alg: Ed25519` (RFC 9864). Whoever holds
one can demand the entry's inclusion (see `verify_proof`): a receipt without it proves misconduct. The same key states
what belongs to an entry, under a type of its own.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from gateway.canonical import canonical, parse
from gateway.errors import Invalid, Unavailable
from gateway.ledger.entries import Receipt
from gateway.ledger.merkle import HASH_SIZE

TYPE = "access-receipt+jws"
_ALGORITHM = "Ed25519"
_CHECKED_BY = (
    "`gateway verify-proof` checks receipts of accesses, `gateway verify-receipt` those of consents, "
    "`gateway verify-file` files."
)
_MEMBERS = {"event_id", "log", "leaf_hash", "iat"}


class ReceiptRejected(Invalid):
    """Not a receipt, or not signed by this key."""

    def __init__(self, detail: str, *, remedy: str | None = None) -> None:
        super().__init__("receipt_rejected", detail, remedy=remedy)


class UnknownKey(ReceiptRejected):
    """The receipt names a key that is not in the set."""


class ReceiptSigner:
    """Signs receipts with one key, named by `kid`: the one that `hold` gave it last.

    The header never changes and Ed25519 is one call, so the text is put together here: every answer carries a
    receipt, and a JOSE library's way costs as much again as the signature. `verify` goes through the library.
    """

    def __init__(self, private_key: Ed25519PrivateKey | None = None, kid: str = "") -> None:
        self.hold(private_key, kid)

    def hold(self, private_key: Ed25519PrivateKey | None, kid: str) -> None:
        """Sign with this key from now on; with None nothing is signed."""
        self._key = private_key
        self._kid = kid
        self._header = self._header_of(TYPE)

    def _header_of(self, typ: str) -> bytes:
        return _base64url(canonical({"alg": _ALGORITHM, "kid": self._kid, "typ": typ}))

    def sign(self, receipt: Receipt) -> str:
        """The compact JWS; `Unavailable` without a key."""
        payload = {
            "event_id": receipt.event_id,
            "log": receipt.origin,
            "leaf_hash": _base64url(receipt.leaf_hash).decode(),
            "iat": receipt.issued_at,
        }
        return self._signed(self._header, orjson.dumps(payload))

    def state(self, typ: str, statement: Mapping[str, Any]) -> str:
        """A compact JWS of another type over what goes with a receipt; `Unavailable` without a key."""
        return self._signed(self._header_of(typ), canonical(statement))

    def _signed(self, header: bytes, payload: bytes) -> str:
        if self._key is None:
            raise Unavailable("keys_unavailable", "There is no key to sign receipts with now.")
        signed = header + b"." + _base64url(payload)
        return (signed + b"." + _base64url(self._key.sign(signed))).decode()


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def verify(receipt: str, jwk: Mapping[str, Any]) -> Receipt:
    """The receipt of a compact JWS, signed by the key of this public Ed25519 JWK.

    Raises:
        ReceiptRejected: Malformed, of another type or algorithm, or not signed by this key.
    """
    return _read(verify_statement(receipt, jwk, TYPE))


def verify_statement(text: str, jwk: Mapping[str, Any], typ: str) -> bytes:
    """The payload of a compact JWS of this type, signed by the key of this JWK; raises as `verify`."""
    try:
        found = jws.deserialize_compact(text, OKPKey.import_key(dict(jwk)), algorithms=[_ALGORITHM])
    except (JoseError, ValueError, TypeError, LookupError, RecursionError):
        raise ReceiptRejected("The signature does not hold.") from None
    if found.headers().get("typ") != typ:
        detail = f"Not what it is taken for: its type is {found.headers().get('typ')}, not {typ}."
        raise ReceiptRejected(detail, remedy=_CHECKED_BY)
    return found.payload


def named_key(text: str, jwks: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key of a JWK set that a compact JWS names by `kid`; whether it signed is for `verify` to say.

    Raises:
        UnknownKey: The set has no such key.
        ReceiptRejected: Malformed, or the set is none.
    """
    header = text.partition(".")[0]
    try:
        kid = parse(b64decode(header + "=" * (-len(header) % 4), altchars=b"-_", validate=True)).get("kid")
        keys: Sequence[Mapping[str, Any]] = jwks["keys"]
        return next(key for key in keys if key.get("kid") == kid)
    except StopIteration:
        remedy = "Take the newest set from /v1/jwks; /jwks holds the keys of tokens."
        raise UnknownKey("No key of the set is the one that the receipt names.", remedy=remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError, Invalid):
        raise ReceiptRejected("Not a receipt, or the key set is none.") from None


def _read(payload: bytes) -> Receipt:
    value = parse(payload)
    if not isinstance(value, dict) or value.keys() != _MEMBERS:
        raise ReceiptRejected("Not an access receipt.")
    event, origin, digest, issued = (value[name] for name in ("event_id", "log", "leaf_hash", "iat"))
    texts = all(isinstance(text, str) for text in (event, origin, digest))
    if not texts or type(issued) is not int:
        raise ReceiptRejected("A member of the receipt has the wrong type.")
    try:
        leaf_hash = b64decode(digest + "=", altchars=b"-_", validate=True)
    except ValueError:
        raise ReceiptRejected("The leaf hash is not base64url.") from None
    if len(leaf_hash) != HASH_SIZE:
        raise ReceiptRejected("The leaf hash is not 32 bytes long.")
    return Receipt(event, origin, leaf_hash, issued)

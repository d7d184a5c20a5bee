"""Whoever checks offline what an outsider hands over hears that it does not hold; a verifier never breaks on it."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from gateway.access.file_proof import prove
from gateway.canonical import canonical
from gateway.consents.receipts import verify_receipt
from gateway.errors import Invalid
from gateway.identity import SignedMessage


def encoded(text: bytes) -> str:
    return urlsafe_b64encode(text).rstrip(b"=").decode()


DEEP = b"[" * 100_000
NAMED = encoded(b'{"alg":"EdDSA","kid":"k"}')
ED25519 = {"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": encoded(b"\0" * 32)}
TEXTS = {
    "nothing": "",
    "a header nested too deeply": encoded(DEEP) + ".a.b",
    "a payload nested too deeply": f"{NAMED}.{encoded(DEEP)}.{encoded(b'0' * 64)}",
    "a number of many digits": encoded(b'{"kid":' + b"9" * 5000 + b"}") + ".a.b",
    "a kid that is a list": encoded(b'{"kid":[]}') + ".a.b",
    "no object": encoded(b"[]") + ".a.b",
    "no UTF-8": encoded(b"\xff") + ".a.b",
    "no ASCII": "é.é.é",
    "one part": NAMED,
    "another's signature": f"{NAMED}.e30.{encoded(b'0' * 64)}",
}
KEYS: dict[str, Any] = {
    "good": ED25519,
    "on another curve": {"kid": "k", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "on no curve": {"kid": "k", "kty": "OKP", "crv": 5, "x": 5},
    "of no type": {"kid": "k", "kty": []},
    "secret": {"kid": "k", "kty": "oct", "k": "AA"},
    "empty": {},
    "no object": "k",
}


def answer(receipt: str) -> bytes:
    """A file of one page, with this receipt."""
    page = {"records": 0, "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    receipts = {"receipt": receipt, "event_id": "e", "signature": receipt}
    manifest = json.dumps({**page, "pages": [{**page, **receipts}], "delivery": receipts}).encode()
    return b"--b\r\nA: b\r\n\r\nx\r\n--b\r\nA: b\r\n\r\n%b\r\n--b--\r\n" % manifest


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_receipt_is_refused_as_one(text: str, key: str) -> None:
    with pytest.raises(Invalid):
        verify_receipt(TEXTS[text], {"keys": [KEYS[key]]})
    with pytest.raises(Invalid):
        prove(answer(TEXTS[text]), {"keys": [KEYS[key]]})


@pytest.mark.parametrize(
    "other",
    [
        {"algorithm": []},
        {"base": 5},
        {"base": "é"},
        {"signature": None},
        *({"jwk": key} for key in (*KEYS.values(), None, [], {"kty": "RSA", "n": "AQ", "e": "AQ"})),
    ],
)
def test_what_is_no_kept_message_is_refused_as_one(other: dict[str, Any]) -> None:
    jwk = {name: value for name, value in ED25519.items() if name != "kid"}
    document = {"v": 1, "base": "AA==", "signature": "AA==", "algorithm": "ed25519", "jwk": jwk} | other
    with pytest.raises(Invalid):
        SignedMessage.read(canonical(document))

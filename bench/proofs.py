"""Assertions and DPoP proofs in advance, so that signing them is not what is measured."""

from __future__ import annotations

import hashlib
import secrets
import time

import orjson

from gateway.identity import base64url
from gateway.identity.jws import PrivateKey, Signer


class Prover:
    """Signs proofs for one access token with one key, by the key's own algorithm."""

    def __init__(self, key: PrivateKey, token: str) -> None:
        self._signer = Signer(key, typ="dpop+jwt", header={"jwk": key.as_dict(private=False)})
        self._token = token
        self._ath = base64url.encode(hashlib.sha256(token.encode()).digest())
        self.nonce = ""

    def proof(self, method: str, url: str) -> str:
        """A fresh proof."""
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
            "ath": self._ath,
            "nonce": self.nonce,
        }
        return self._signer.sign(orjson.dumps(claims))

    def request(self, method: str, base: str, path: str) -> bytes:
        """A whole HTTP request with a fresh proof."""
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {base.partition('//')[2]}",
            f"Authorization: DPoP {self._token}",
            f"DPoP: {self.proof(method, base + path.partition('?')[0])}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

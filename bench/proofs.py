"""Assertions and DPoP proofs in advance, so that signing them is not what is measured."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk_of(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """The public JWK of a P-256 key."""
    numbers = key.public_key().public_numbers()
    x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def sign(header: Mapping[str, object], claims: Mapping[str, object], key: ec.EllipticCurvePrivateKey) -> str:
    """A compact JWS by ES256; JSON without spaces, as JOSE libraries write it."""
    return sign_under(_segment(header), claims, key)


def sign_under(header: str, claims: Mapping[str, object], key: ec.EllipticCurvePrivateKey) -> str:
    """As `sign`, under a header that is encoded already."""
    signed = f"{header}.{_segment(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _segment(members: Mapping[str, object]) -> str:
    return b64(json.dumps(members, separators=(",", ":")).encode())


class Prover:
    """Signs proofs for one access token with one ES256 key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, token: str) -> None:
        self._key = key
        self._token = token
        self._header = _segment({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk_of(key)})
        self._ath = b64(hashlib.sha256(token.encode()).digest())
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
        return sign_under(self._header, claims, self._key)

    def request(self, method: str, base: str, path: str) -> bytes:
        """A whole HTTP request with a fresh proof."""
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {base.partition('//')[2]}",
            f"Authorization: DPoP {self._token}",
            f"DPoP: {self.proof(method, base + path.partition('?')[0])}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

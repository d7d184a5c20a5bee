"""DPoP proofs in advance, so that signing them is not what is measured."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _compact(members: dict[str, object]) -> bytes:
    """JSON without spaces, as JOSE libraries write it."""
    return json.dumps(members, separators=(",", ":")).encode()


class Prover:
    """Signs proofs for one access token with one ES256 key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, token: str) -> None:
        numbers = key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": b64(numbers.x.to_bytes(32, "big")),
            "y": b64(numbers.y.to_bytes(32, "big")),
        }
        self._key = key
        self._token = token
        self._header = b64(_compact({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}))
        self._ath = b64(hashlib.sha256(token.encode()).digest())
        self.nonce = ""

    def request(self, method: str, base: str, path: str) -> bytes:
        """A whole HTTP request with a fresh proof."""
        claims: dict[str, object] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": base + path.partition("?")[0],
            "iat": int(time.time()),
            "ath": self._ath,
            "nonce": self.nonce,
        }
        signed = f"{self._header}.{b64(_compact(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        proof = f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {base.partition('//')[2]}",
            f"Authorization: DPoP {self._token}",
            f"DPoP: {proof}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

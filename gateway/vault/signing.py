"""The gateway's own Ed25519 keys: tokens, receipts, answers, logs."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from enum import StrEnum
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.canonical import canonical


class SigningState(StrEnum):
    """Where a key of the gateway's own is in its life."""

    PUBLISHED = "published"
    """In the key set, so that everybody knows it before it is used."""
    ACTIVE = "active"
    """Signs."""
    RETIRING = "retiring"
    """Signs no more; what it signed may still be in use."""
    RETIRED = "retired"
    """Over: its private half is erased."""


class SigningKey:
    """An Ed25519 key pair in use. `kid` is its RFC 7638 thumbprint; `private` serves the JOSE library."""

    __slots__ = ("kid", "private", "public", "use")

    def __init__(self, use: str, private: Ed25519PrivateKey) -> None:
        self.use = use
        self.private = private
        self.public = private.public_key().public_bytes_raw()
        self.kid = thumbprint(self.public)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature (RFC 8032)."""
        return self.private.sign(message)

    def jwk(self) -> dict[str, str]:
        """The public JWK (RFC 8037 section 2)."""
        return public_jwk(self.public)

    def __repr__(self) -> str:
        return f"SigningKey({self.use}, {self.kid}, private half not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


def public_jwk(public: bytes) -> dict[str, str]:
    """The JWK of an Ed25519 public key of 32 bytes (RFC 8037 section 2, RFC 9864), named by its thumbprint."""
    return {
        "kty": "OKP", "crv": "Ed25519", "x": _text(public), "kid": thumbprint(public), "use": "sig", "alg": "Ed25519",
    }  # fmt: skip


def thumbprint(public: bytes) -> str:
    """RFC 7638 thumbprint of an Ed25519 public key of 32 bytes (RFC 8037 section 2), base64url."""
    return _text(hashlib.sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": _text(public)})).digest())


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()

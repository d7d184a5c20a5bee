"""XAES-256-GCM (C2SP XAES-256-GCM.md) for values outside a record: random 192-bit nonces under one lasting key."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import SealBroken

_NONCE_BYTES = 24


class ExtendedNonceCipher:
    """XAES-256-GCM under one key."""

    __slots__ = ("_encrypt", "_masks")

    def __init__(self, key: bytes) -> None:
        self._encrypt = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305  whole blocks: the PRF of CMAC
        doubled = int.from_bytes(self._encrypt(bytes(16)), "big") << 1
        if doubled >> 128:
            doubled ^= (1 << 128) ^ 0x87
        self._masks = doubled << 128 | doubled

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag. `nonce`: 24 bytes, drawn by the caller for this message alone."""
        return self._derived(nonce).encrypt(nonce[12:], plaintext, aad)

    def decrypt(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        """The plaintext, or `InvalidTag`."""
        return self._derived(nonce).decrypt(nonce[12:], ciphertext, aad)

    def _derived(self, nonce: bytes) -> AESGCM:
        first = nonce[:12]
        halves = b"\0\1X\0" + first + b"\0\2X\0" + first
        return AESGCM(self._encrypt((self._masks ^ int.from_bytes(halves)).to_bytes(32)))

    def __repr__(self) -> str:
        return "ExtendedNonceCipher(key not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


def seal_detail(cipher: ExtendedNonceCipher, key_id: str, plaintext: bytes, aad: bytes) -> dict[str, str]:
    """`{key_id, nonce, ciphertext}` with base64url values, for the sealed part of an entry."""
    nonce = os.urandom(_NONCE_BYTES)
    ciphertext = cipher.encrypt(nonce, plaintext, _bound(key_id, aad))
    return {"key_id": key_id, "nonce": _text(nonce), "ciphertext": _text(ciphertext)}


def open_detail(cipher: ExtendedNonceCipher, sealed: Mapping[str, str], aad: bytes) -> bytes:
    """The plaintext, or `SealBroken` unless every part and `aad` are what was sealed."""
    try:
        nonce, ciphertext = (urlsafe_b64decode(sealed[part] + "==") for part in ("nonce", "ciphertext"))
        if len(nonce) != _NONCE_BYTES:
            raise SealBroken("A sealed detail is damaged.")
        return cipher.decrypt(nonce, ciphertext, _bound(sealed["key_id"], aad))
    except (InvalidTag, KeyError, TypeError, ValueError):
        raise SealBroken("A sealed detail does not verify.") from None


def _bound(key_id: str, aad: bytes) -> bytes:
    return length_prefixed(b"gw1 detail", key_id.encode(), aad)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()

"""Every primitive the vault uses, against Project Wycheproof's vectors and those of C2SP's XAES-256-GCM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.vault.detail import ExtendedNonceCipher
from gateway.vault.keyed_hash import KeyedHash
from tests.beside import VECTORS, there


def groups(name: str) -> list[dict[str, Any]]:
    return list(json.loads(there(VECTORS / "wycheproof" / name).read_text())["testGroups"])


def opens(test: dict[str, Any]) -> bool:
    key, iv, aad, message, ciphertext, tag = (
        bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
    )
    try:
        return AESGCM(key).decrypt(iv, ciphertext + tag, aad) == message
    except InvalidTag:
        return False


def test_aes_256_gcm_agrees_on_every_vector_of_its_key_and_nonce_size() -> None:
    seen = {"valid": 0, "invalid": 0}
    for group in groups("aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128):
            for test in group["tests"]:
                assert opens(test) == (test["result"] == "valid"), test["tcId"]
                seen[test["result"]] += 1
    assert seen == {"valid": 39, "invalid": 27}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_keyed_hash_is_hmac_on_every_vector(algorithm: str) -> None:
    seen = {"valid": 0, "invalid": 0}
    for group in groups(f"hmac_{algorithm}_test.json"):
        for test in group["tests"]:
            digest = KeyedHash(bytes.fromhex(test["key"]), algorithm).digest(bytes.fromhex(test["msg"]))  # type: ignore[arg-type]
            agrees = digest[: group["tagSize"] // 8] == bytes.fromhex(test["tag"])
            assert agrees == (test["result"] == "valid"), test["tcId"]
            seen[test["result"]] += 1
    assert sum(seen.values()) == 174
    assert min(seen.values()) > 50


def test_ed25519_agrees_on_every_vector() -> None:
    seen = {"valid": 0, "invalid": 0}
    for group in groups("ed25519_test.json"):
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        for test in group["tests"]:
            try:
                public.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
                accepted = True
            except InvalidSignature:
                accepted = False
            assert accepted == (test["result"] == "valid"), test["tcId"]
            seen[test["result"]] += 1
    assert sum(seen.values()) == 151
    assert min(seen.values()) > 50


@pytest.mark.parametrize(
    ("key", "aad", "ciphertext"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_the_extended_nonce_cipher_gives_the_vectors_of_its_specification(
    key: bytes, aad: bytes, ciphertext: str
) -> None:
    cipher, nonce = ExtendedNonceCipher(key), b"ABCDEFGHIJKLMNOPQRSTUVWX"
    assert cipher.encrypt(nonce, b"XAES-256-GCM", aad).hex() == ciphertext
    assert cipher.decrypt(nonce, bytes.fromhex(ciphertext), aad) == b"XAES-256-GCM"

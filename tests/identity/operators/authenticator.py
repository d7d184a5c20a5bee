"""A passkey in software, for answers that no honest browser gives. It signs whatever it is told to."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.identity.base64url import decode, encode

PRESENT: Final = 0x01
VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40


class Authenticator:
    """One key, told as `cose`. `count` is what it says next about how often it was used."""

    def __init__(self, origin: str, rp_id: str = "localhost") -> None:
        self.origin = origin
        self.rp_id = rp_id
        self.id = secrets.token_bytes(32)
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        self.cose: dict[int, Any] = {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        self.count = 1
        self.user = ""

    def make(self, options: Mapping[str, Any], *, flags: int = PRESENT | VERIFIED, **client: Any) -> str:
        """The answer to creation options; `client` replaces members of the client data."""
        self.user = str(options["user"]["id"])
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(self.cose)
        data = self._data(flags | _ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._client_data("webauthn.create", options["challenge"], client)
        return self._answer({"clientDataJSON": encode(said), "attestationObject": encode(attestation)})

    def sign(self, options: Mapping[str, Any], *, flags: int = PRESENT | VERIFIED, **client: Any) -> str:
        """The answer to request options; `client` replaces members of the client data."""
        data = self._data(flags)
        said = self._client_data("webauthn.get", options["challenge"], client)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": encode(said),
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": self.user,
            }
        )

    def _data(self, flags: int) -> bytes:
        data = hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")
        self.count += 1
        return data

    def _client_data(self, kind: str, challenge: str, over: Mapping[str, Any]) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | dict(over)).encode()

    def _answer(self, response: Mapping[str, str]) -> str:
        name = encode(self.id)
        assert decode(name) == self.id
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": dict(response)})

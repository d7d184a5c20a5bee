"""L2, the subject key: random, wrapped by the member's key, never derived, never used without its row.

Wrapped form, 96 bytes: key id 16, version 4, nonce 12, ciphertext 32, tag 16, check value 16.
The check value ties the ciphertext to one key, which AES-GCM alone does not.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Invalid
from gateway.vault import detail
from gateway.vault.detail import ExtendedNonceCipher
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import KeysUnavailable
from gateway.vault.keyed_hash import KeyedHash

KEY_BYTES = 32
ID_BYTES = 16
DATASET_SCOPE = "dataset:"
"""What the scope of a dataset without persons begins with; no pseudonym holds a colon."""
NONCE_BYTES = 12
CHECK_BYTES = 16
_HEAD = Struct(">16sI12s")
_NAMED = ID_BYTES + 4
_CHECK = b"gw1 check"
_DETAIL = b"gw1 detail"
_WRAPPED_BYTES = _HEAD.size + KEY_BYTES + 16 + CHECK_BYTES


def check_value(key: bytes, *bound: bytes) -> bytes:
    """16 bytes that only this key gives for the id and version it is bound to; says nothing about the key."""
    return hmac.digest(key, length_prefixed(b"gw1 check", *bound), "sha256")[:CHECK_BYTES]


class SubjectKey:
    """A subject key in use: it derives class keys, for one batch, then is dropped. Never pickled, never printed."""

    __slots__ = ("derive", "id", "identity", "version")

    def __init__(self, key_id: str, version: int, key: bytes) -> None:
        self.id = key_id
        self.identity = key_id_bytes(key_id)
        self.version = version
        self.derive = KeyedHash(key, "sha512").digest

    def seal_detail(self, plaintext: bytes, aad: bytes) -> dict[str, str]:
        """`{key_id, nonce, ciphertext}`, for what is kept of the person outside records; gone with the key."""
        return detail.seal_detail(self._details(), self.id, plaintext, aad)

    def open_detail(self, sealed: Mapping[str, str], aad: bytes) -> bytes:
        """What `seal_detail` sealed, or `SealBroken`."""
        return detail.open_detail(self._details(), sealed, aad)

    def _details(self) -> ExtendedNonceCipher:
        return ExtendedNonceCipher(self.derive(_DETAIL)[:KEY_BYTES])

    def __repr__(self) -> str:
        return f"SubjectKey({self.id}, version {self.version}, key not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


class WrappedSubjectKey(NamedTuple):
    """A row of `subject_key`: what is stored of a subject key. `version` is that of the wrapping member key."""

    key_id: str
    scope: str
    version: int
    wrapped: bytes

    @property
    def of_a_person(self) -> bool:
        """Whether its scope is a pseudonym, and no dataset."""
        return not self.scope.startswith(DATASET_SCOPE)


class SubjectKeyWrap:
    """One version of a member's wrapping key. Associated data: member, version, key id, scope."""

    __slots__ = ("_bound", "_cipher", "version")

    def __init__(self, member_id: str, version: int, key: bytes) -> None:
        self.version = version
        self._bound = length_prefixed(b"gw1 subject key", member_id.encode(), version.to_bytes(4, "big"))
        self._cipher = AESGCM(key)

    def wrap_new(self, key_id: str, scope: str) -> WrappedSubjectKey:
        """Draw 256 random bits and wrap them. `key_id`: 32 hexadecimal characters."""
        if not scope:
            raise Invalid("invalid_scope", "A subject key needs a scope.", field="scope")
        key, nonce, identity = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES), key_id_bytes(key_id)
        head = _HEAD.pack(identity, self.version, nonce)
        sealed = self._cipher.encrypt(nonce, key, self._bound + identity + scope.encode())
        check = SubjectKey(key_id, self.version, key).derive(_CHECK + head[:_NAMED])[:CHECK_BYTES]
        return WrappedSubjectKey(key_id, scope, self.version, head + sealed + check)

    def unwrap(self, key_id: str, scope: str, wrapped: bytes) -> SubjectKey:
        """The key again, or `KeysUnavailable` when any byte, id, scope, member or version is not what was wrapped."""
        identity = key_id_bytes(key_id)
        if len(wrapped) != _WRAPPED_BYTES:
            raise KeysUnavailable("A wrapped subject key is damaged.")
        named, version, nonce = _HEAD.unpack_from(wrapped)
        if named != identity or version != self.version:
            raise KeysUnavailable("A wrapped subject key belongs elsewhere.")
        try:
            aad = self._bound + identity + scope.encode()
            key = self._cipher.decrypt(nonce, wrapped[_HEAD.size : -CHECK_BYTES], aad)
        except InvalidTag:
            raise KeysUnavailable("A wrapped subject key does not verify.") from None
        subject_key = SubjectKey(key_id, version, key)
        check = subject_key.derive(_CHECK + wrapped[:_NAMED])[:CHECK_BYTES]
        if not hmac.compare_digest(check, wrapped[-CHECK_BYTES:]):
            raise KeysUnavailable("A wrapped subject key fails its check value.")
        return subject_key

    def __repr__(self) -> str:
        return f"SubjectKeyWrap(version {self.version}, key not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


def key_id_bytes(key_id: str) -> bytes:
    """The 16 bytes of a key id written as 32 lower-case hexadecimal characters; `Invalid` otherwise."""
    try:
        identity = bytes.fromhex(key_id)
    except ValueError:
        identity = b""
    if len(identity) != ID_BYTES or identity.hex() != key_id:
        raise Invalid("invalid_key_id", "A key id is 32 lower-case hexadecimal characters.", field="key_id")
    return identity

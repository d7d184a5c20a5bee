"""A key-encryption key in a file, sealed under a passphrase (Argon2id, RFC 9106): the embedded default."""

from __future__ import annotations

import hmac
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.canonical import canonical, parse
from gateway.errors import GatewayError, Invalid
from gateway.identifiers import random_id
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import KeysUnavailable
from gateway.vault.files import create_secret, read_secret

SHORTEST_PASSPHRASE = 12
_KEY_BYTES, _NONCE_BYTES, _SALT_BYTES = 32, 12, 16
_FILE_LIMIT = 4096
_MOST_PASSES, _MOST_LANES, _MOST_KIB = 64, 16, 2 * 1024 * 1024
_NAMES = {"v", "kdf", "key_id", "iterations", "lanes", "memory_kib", "salt", "check", "nonce", "sealed"}


class WrongPassphrase(Invalid):
    """The passphrase does not open this keyring, or the keyring was altered; the two look alike."""

    def __init__(self) -> None:
        super().__init__(
            "wrong_passphrase",
            "The passphrase does not open this keyring.",
            field="passphrase",
            remedy="Give the passphrase this keyring was made with; if it is right, restore the file from backup.",
        )


class KeyringDamaged(Invalid):
    """The keyring file is not one that this gateway wrote."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            "keyring_damaged", "The keyring file is damaged.", field=path.name, remedy="Restore it from backup."
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at the passphrase costs. The default is RFC 9106's second recommended option."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65_536

    def __post_init__(self) -> None:
        """Bounds keep an altered file from exhausting the machine."""
        if not (1 <= self.iterations <= _MOST_PASSES and 1 <= self.lanes <= _MOST_LANES):
            raise Invalid("invalid_cost", "Argon2id takes 1..64 iterations and 1..16 lanes.", field="cost")
        if not 8 * self.lanes <= self.memory_kib <= _MOST_KIB:
            raise Invalid("invalid_cost", "Argon2id takes 8 KiB per lane up to 2 GiB.", field="cost")


class LocalKeyring:
    """A `KekProvider` in this process. The key is held in a cipher object until the process ends."""

    __slots__ = ("_cipher", "_key_id")

    def __init__(self, key_id: str, key: bytes) -> None:
        self._key_id = key_id
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls, path: Path, passphrase: bytes, *, cost: Cost | None = None) -> LocalKeyring:
        """Draw a key and write it sealed, mode 0600, whole or not at all; an existing file is `FileExists`.

        `Invalid` for a passphrase shorter than 12 bytes.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise Invalid(
                "weak_passphrase",
                f"A passphrase has at least {SHORTEST_PASSPHRASE} bytes.",
                field="passphrase",
                remedy="Use several random words.",
            )
        cost = cost or Cost()
        head = {"v": 1, "kdf": "argon2id", "key_id": random_id(), **asdict(cost)}
        salt, nonce, key = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES), os.urandom(_KEY_BYTES)
        stretched = _stretch(passphrase, salt, cost)
        sealed = AESGCM(stretched[:_KEY_BYTES]).encrypt(nonce, key, canonical(head))
        parts = {"salt": salt, "check": stretched[_KEY_BYTES:], "nonce": nonce, "sealed": sealed}
        create_secret(path, canonical({**head, **{name: value.hex() for name, value in parts.items()}}) + b"\n")
        return cls(str(head["key_id"]), key)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> LocalKeyring:
        """Open the file, or raise `WrongPassphrase`, `KeyringDamaged`, `UnsafeFile`, `FileMissing`. Takes about 0.1 s.

        `UnsafeFile` for a symbolic link, a file of another user, or one that group or others can touch.
        """
        head, parts, cost = _parse(path, read_secret(path, limit=_FILE_LIMIT))
        stretched = _stretch(passphrase, parts["salt"], cost)
        if not hmac.compare_digest(stretched[_KEY_BYTES:], parts["check"]):
            raise WrongPassphrase
        try:
            key = AESGCM(stretched[:_KEY_BYTES]).decrypt(parts["nonce"], parts["sealed"], canonical(head))
        except InvalidTag:
            raise KeyringDamaged(path) from None
        return cls(head["key_id"], key)

    @property
    def key_id(self) -> str:
        """32 hexadecimal characters, drawn with the key."""
        return self._key_id

    def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        """Nonce 12, ciphertext, tag 16."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, self._bound(aad))

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """What was wrapped, or `KeysUnavailable`."""
        if len(wrapped) < _NONCE_BYTES + 16:
            raise KeysUnavailable("A wrapped key is damaged.")
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], self._bound(aad))
        except InvalidTag:
            raise KeysUnavailable("A wrapped key does not verify under this keyring.") from None

    def _bound(self, aad: bytes) -> bytes:
        return length_prefixed(b"gw1 local keyring", self._key_id.encode(), aad)

    def __repr__(self) -> str:
        return f"LocalKeyring({self._key_id}, key not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


def _stretch(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    """64 bytes: the sealing key, and the check value that ties the file to one passphrase."""
    kdf = Argon2id(
        salt=salt,
        length=2 * _KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return kdf.derive(passphrase)


def _parse(path: Path, text: bytes) -> tuple[dict[str, Any], dict[str, bytes], Cost]:
    """The file taken apart; it must be, byte for byte, what `create` writes."""
    try:
        stored = parse(text)
        if not isinstance(stored, dict) or stored.keys() != _NAMES or canonical(stored) + b"\n" != text:
            raise KeyringDamaged(path)
        parts = {name: bytes.fromhex(stored[name]) for name in ("salt", "check", "nonce", "sealed")}
        head = {name: value for name, value in stored.items() if name not in parts}
        cost = Cost(head["iterations"], head["lanes"], head["memory_kib"])
    except (GatewayError, ValueError, TypeError):
        raise KeyringDamaged(path) from None
    sizes = {"salt": _SALT_BYTES, "check": _KEY_BYTES, "nonce": _NONCE_BYTES, "sealed": _KEY_BYTES + 16}
    if any(len(parts[name]) != size or parts[name].hex() != stored[name] for name, size in sizes.items()):
        raise KeyringDamaged(path)
    if head["v"] != 1 or head["kdf"] != "argon2id":
        raise KeyringDamaged(path)
    return head, parts, cost

"""C2SP signed notes with Ed25519 keys (c2sp.org/signed-note, signature type 0x01).

A note is text, a blank line, and one line per signature. A verifier key (`vkey`) is
`<name>+<key id in hex>+<base64 of 0x01 and the public key>`; it travels out of band.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import Invalid

_ED25519 = b"\x01"
_MARK = "— "
_KEY_SIZE = 32
_SURROGATES = frozenset(map(chr, range(0xD800, 0xE000)))


class NoteRejected(Invalid):
    """A note or key is malformed, or its signature does not hold."""

    def __init__(self, detail: str) -> None:
        super().__init__("note_rejected", detail)


class UntrustedKey(NoteRejected):
    """The note carries no signature by the key that was asked for."""


class Signer(Protocol):
    """The key that signs a log's checkpoints. Its private half never enters the ledger."""

    @property
    def name(self) -> str:
        """The key's name: the origin of its log."""

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032), 64 bytes."""


@dataclass(frozen=True, slots=True)
class NamedSigner:
    """A `Signer` under a log's origin, from a key that signs elsewhere."""

    name: str
    public_key: bytes
    signature: Callable[[bytes], bytes]

    def sign(self, message: bytes) -> bytes:
        """See `Signer`."""
        return self.signature(message)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and a public key; `str()` gives the vkey."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Decode a vkey; its key id must be the one that follows from name and key."""
        name, _, rest = vkey.strip().partition("+")
        claimed, _, encoded = rest.partition("+")
        raw = _base64(encoded)
        if not _is_name(name) or raw[:1] != _ED25519 or len(raw) != 1 + _KEY_SIZE:
            raise NoteRejected("The verifier key is not an Ed25519 vkey.")
        key = cls(name, raw[1:])
        if claimed != key.id.hex():
            raise NoteRejected("The verifier key's id does not match its name and key.")
        return key

    @property
    def id(self) -> bytes:
        """The first 4 bytes of SHA-256 over name, newline, type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public_key).decode()}"


def sign(text: str, signer: Signer) -> bytes:
    """The signed note over `text`, which ends in a newline.

    Raises:
        NoteRejected: The text or the signer's name cannot stand in a note.
    """
    if not text.endswith("\n") or _has_control(text) or not _is_name(signer.name):
        raise NoteRejected("The text cannot be signed as a note.")
    key = VerifierKey(signer.name, signer.public_key)
    signature = base64.b64encode(key.id + signer.sign(text.encode())).decode()
    return f"{text}\n{_MARK}{signer.name} {signature}\n".encode()


def verify(note: bytes, key: VerifierKey) -> str:
    """The note's text, signed by `key`. Lines by other keys are allowed, and not looked into.

    Raises:
        UntrustedKey: No signature line is by this key.
        NoteRejected: The note is malformed, or the signature does not hold.
    """
    text, signatures = _split(note)
    ours = {signature for name, signature in signatures if name == key.name and signature[:4] == key.id}
    if not ours:
        raise UntrustedKey("The note is not signed by this key.")
    for signature in ours:
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[4:], text.encode())
        except (InvalidSignature, ValueError):
            raise NoteRejected("The signature does not hold.") from None
    return text


def is_note(given: bytes) -> bool:
    """Whether this is a well-formed note, whoever signed it; a file taken by mistake is none."""
    try:
        text_of(given)
    except NoteRejected:
        return False
    return True


def text_of(note: bytes) -> str:
    """The text of a well-formed note, whoever signed it: it proves nothing."""
    return _split(note)[0]


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise NoteRejected("The note is not UTF-8.") from None
    end = whole.rfind("\n\n")
    if end < 0 or not whole.endswith("\n") or _has_control(whole):
        raise NoteRejected("The note has no signatures.")
    lines = whole[end + 2 : -1].split("\n")
    return whole[: end + 1], [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    signature = _base64(encoded)
    if not line.startswith(_MARK) or not _is_name(name) or len(signature) <= len(b"key "):
        raise NoteRejected("A signature line is malformed.")
    return name, signature


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRejected("Not base64.") from None
    if base64.b64encode(raw).decode() != text:
        raise NoteRejected("Not canonical base64.")
    return raw


def _is_name(name: str) -> bool:
    return bool(name) and not any(letter == "+" or letter.isspace() or letter in _SURROGATES for letter in name)


def _has_control(text: str) -> bool:
    return any(letter < " " and letter != "\n" for letter in text)

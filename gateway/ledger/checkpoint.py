"""C2SP tlog-checkpoint: origin, size and root of a log, as the text of a signed note. No extension lines."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from gateway.ledger import note
from gateway.ledger.merkle import HASH_SIZE
from gateway.ledger.note import NoteRejected, Signer, VerifierKey

_LINES = 3
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log that its key vouches for."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, signer: Signer) -> bytes:
        """The signed note."""
        return note.sign(self.text(), signer)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text back; anything that `text` would not write is `NoteRejected`."""
        lines = text.split("\n")
        if len(lines) != _LINES + 1 or not _SIZE.fullmatch(lines[1]):
            raise NoteRejected("Not a checkpoint: origin, size and root expected.")
        try:
            found = cls(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
        except (binascii.Error, ValueError):
            raise NoteRejected("Not a checkpoint: the root is not base64.") from None
        if found.text() != text or not found.origin or len(found.root) != HASH_SIZE:
            raise NoteRejected("Not a checkpoint in its one form.")
        return found

    @classmethod
    def verify(cls, signed: bytes, key: VerifierKey) -> Checkpoint:
        """The checkpoint of a note that `key` signed; the key's name is the log's origin.

        Raises:
            UntrustedKey: The note is not signed by this key.
            NoteRejected: Malformed, another origin, or the signature does not hold.
        """
        found = cls.parse(note.verify(signed, key))
        if found.origin != key.name:
            raise NoteRejected("The checkpoint is of another log than the key.")
        return found

"""One entry's place in a signed tree, as text to hand on: C2SP tlog-proof v1 (c2sp.org/tlog-proof).

A header, the entry's index, the hashes of the proof from the leaf towards the root, an empty line, and the
checkpoint as a signed note, verbatim. It tells where the entry stands and how large the log was, and nothing of what
is in it. Needs no database and no network.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from gateway.errors import Invalid
from gateway.ledger import note
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.merkle import HASH_SIZE

LIMIT = 65536
"""The longest text that is read, in bytes."""
_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})", re.ASCII)
_MOST_HASHES = 63


class ProofMalformed(Invalid):
    """The text is no tlog-proof in its one form."""

    def __init__(self, detail: str) -> None:
        super().__init__("proof_malformed", detail)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That some leaf is entry `index` of the tree of a signed checkpoint. Nothing of it has been verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The text, without an `extra` line."""
        head = "\n".join((_HEADER, f"index {self.index}", *(b64encode(one).decode() for one in self.hashes)))
        return f"{head}\n\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, text: bytes) -> InclusionProof:
        """Read a text that anybody may have written. An `extra` line is nobody's word: it is checked and dropped.

        Raises:
            ProofMalformed: Longer than `LIMIT`, or other bytes than `encode` writes.
            NoteRejected: What follows the empty line is no signed checkpoint.
        """
        if len(text) > LIMIT:
            raise ProofMalformed(f"It is longer than {LIMIT} bytes.")
        head, empty, checkpoint = text.partition(b"\n\n")
        header, *lines = head.decode("ascii", errors="replace").split("\n")
        if header != _HEADER:
            raise ProofMalformed(f"Its first line is not {_HEADER}.")
        if not empty:
            raise ProofMalformed("It has no empty line before a checkpoint.")
        if lines and lines[0].startswith(_EXTRA):
            _decoded(lines.pop(0).removeprefix(_EXTRA), "The extra line")
        found = _INDEX.fullmatch(lines[0]) if lines else None
        if found is None:
            raise ProofMalformed("It has no index, a decimal without leading zeros, where that should stand.")
        if len(lines) > 1 + _MOST_HASHES:
            raise ProofMalformed(f"It has more than {_MOST_HASHES} hashes.")
        Checkpoint.parse(note.text_of(checkpoint))
        return cls(int(found[1]), tuple(_hash(line) for line in lines[1:]), checkpoint)


def _hash(line: str) -> bytes:
    raw = _decoded(line, "A hash")
    if len(raw) != HASH_SIZE:
        raise ProofMalformed(f"A hash is not {HASH_SIZE} bytes long.")
    return raw


def _decoded(text: str, what: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not raw or b64encode(raw).decode() != text:
        raise ProofMalformed(f"{what} is not canonical base64.")
    return raw

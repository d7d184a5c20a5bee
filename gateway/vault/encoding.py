"""The injective encoding under every hash and every associated data of the vault."""

from __future__ import annotations

from struct import Struct

_LENGTH = Struct(">I")


def length_prefixed(*parts: bytes) -> bytes:
    """Each part behind its length as 4 bytes big-endian: no two different lists give the same bytes."""
    return b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))

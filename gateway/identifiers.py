"""How things are named: UUIDv7 for entries, random for everything else (RFC 9562)."""

from __future__ import annotations

import os
import secrets

PURPOSE_PATTERN = "[a-z][a-z0-9_]{0,63}"
"""The form of a purpose, wherever one is named: in terms, consents and reads alike."""


def random_id() -> str:
    """128 random bits as 32 lower-case hexadecimal characters; says nothing about what it names."""
    return secrets.token_hex(16)


def event_id(now_ms: int) -> str:
    """A UUIDv7 of the given instant (RFC 9562 section 5.7)."""
    value = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

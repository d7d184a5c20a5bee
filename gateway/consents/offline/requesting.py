"""What a batch asks one person."""

from __future__ import annotations

import hashlib


def request_of(batch_id: str, pseudonym: str) -> str:
    """The id under which one link asks for everything that a batch holds of one person."""
    return hashlib.sha256(f"{batch_id}:{pseudonym}".encode()).hexdigest()[:32]

"""What only its holder knows: tokens of links and cookies, each of 256 random bits, kept as SHA-256."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

TOKEN_BYTES: Final = 32
_LONGEST: Final = 128


def new_token() -> str:
    """For a link or a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> str:
    """How it is kept and found. Text that no token can be is hashed too, and found nowhere."""
    return sha256(token[:_LONGEST].encode("utf-8", "surrogatepass")).hexdigest()


def code_key(cookie: str) -> bytes:
    """The key under which a visit's codes are kept: nobody with the database alone can try a million codes at it."""
    return hmac.digest(cookie[:_LONGEST].encode("utf-8", "surrogatepass"), b"gw1 code", "sha256")

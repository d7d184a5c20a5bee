"""DPoP nonces of the server (RFC 9449 sections 8 and 9), without storage.

A nonce is an HMAC over the server's role and the time window; the current and the previous window hold.
The secret is the replay window's: who forgets which proofs were seen also forgets the nonces under which they
were made, so a restart never lets a proof in twice.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from gateway.clock import Clock, seconds
from gateway.identity.base64url import encode

WINDOW_SECONDS: Final = 120
"""A nonce is accepted for one to two windows."""


class Nonces:
    """The nonces of one server role (`token` or `resource`); the roles' nonces differ under the same secret."""

    def __init__(self, role: str, secret: Callable[[], bytes], clock: Clock) -> None:
        self._role = role.encode()
        self._secret = secret
        self._clock = clock
        self._held: tuple[int, bytes, str, str] = (-1, b"", "", "")

    def current(self) -> str:
        """The nonce to hand out now."""
        return self._pair()[0]

    def accepts(self, nonce: object) -> bool:
        """Whether a proof's `nonce` is of the current or the previous window."""
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        current, previous = self._pair()
        return hmac.compare_digest(nonce, current) or hmac.compare_digest(nonce, previous)

    def _pair(self) -> tuple[str, str]:
        window, secret = seconds(self._clock()) // WINDOW_SECONDS, self._secret()
        if self._held[:2] != (window, secret):
            self._held = (window, secret, self._nonce(secret, window), self._nonce(secret, window - 1))
        return self._held[2:]

    def _nonce(self, secret: bytes, window: int) -> str:
        message = b"dpop-nonce\0" + self._role + b"\0" + window.to_bytes(8, "big", signed=True)
        return encode(hmac.digest(secret, message, "sha256")[:24])

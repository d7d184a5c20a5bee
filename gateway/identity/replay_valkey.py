"""The replay window in Valkey (or Redis), shared by processes and nodes.

The server keeps reservations only as long as it keeps the nonce secret: both live in the same store, and each
reservation compares the secret in the same transaction. A server that lost its memory, or evicted, makes every
older proof useless instead of letting it in twice. Configure it with `maxmemory-policy noeviction`.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from gateway.clock import Clock, seconds
from gateway.identity.replay import ReplayUnavailable, name_of

_SECRET_BYTES: Final = 32


class ValkeyWindow:
    """See `ProofWindow`. `prefix` keeps several gateways apart in one store."""

    def __init__(self, server: Valkey, secret: bytes, clock: Clock, prefix: str) -> None:
        self._server = server
        self._secret = secret
        self._clock = clock
        self._prefix = prefix

    @classmethod
    async def connect(cls, url: str, clock: Clock, *, prefix: str = "gateway") -> ValkeyWindow:
        """Connect and agree on the nonce secret with the other processes; `ReplayUnavailable` otherwise."""
        server = Valkey.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        try:
            secret = await _shared_secret(server, prefix)
        except (ValkeyError, OSError, TimeoutError):
            await server.aclose()
            raise ReplayUnavailable from None
        return cls(server, secret, clock, prefix)

    def nonce_secret(self) -> bytes:
        """See `ProofWindow`."""
        return self._secret

    async def reserve(self, kind: str, owner: str, jti: str, until: int) -> bool:
        """See `ReplayWindow`. Where the store has another secret, its own is taken over and nothing is accepted."""
        left = until - seconds(self._clock())
        if left <= 0:
            return False
        name = f"{self._prefix}:replay:{name_of(kind, owner, jti).hex()}"
        try:
            async with self._server.pipeline(transaction=True) as pipe:
                pipe.get(_secret_name(self._prefix)).set(name, b"1", nx=True, px=left * 1000)
                secret, reserved = await pipe.execute()
            if secret != self._secret:
                self._secret = await _shared_secret(self._server, self._prefix)
                raise ReplayUnavailable
        except (ValkeyError, OSError, TimeoutError):
            raise ReplayUnavailable from None
        return bool(reserved)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.aclose()


def _secret_name(prefix: str) -> str:
    return f"{prefix}:nonce-secret"


async def _shared_secret(server: Valkey, prefix: str) -> bytes:
    """The first process to ask sets it."""
    await server.set(_secret_name(prefix), secrets.token_bytes(_SECRET_BYTES), nx=True)
    secret: Any = await server.get(_secret_name(prefix))
    if not isinstance(secret, bytes) or len(secret) != _SECRET_BYTES:
        raise ReplayUnavailable
    return secret

"""The replay window in Valkey (or Redis), shared by processes and nodes.

The server keeps reservations only as long as it keeps the nonce secret. Both live in the same store, each reservation
compares the secret in the same transaction, and a secret belongs to one run of the server: one that was restarted, from
whatever snapshot, or that lost or evicted keys, makes every older proof useless instead of letting it in twice.
Configure it with `maxmemory-policy noeviction`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ValkeyError

from gateway.clock import Clock, seconds
from gateway.identity.replay import ReplayUnavailable, name_of

_SECRET_BYTES: Final = 32
_SKEW_SECONDS: Final = 30
"""A reservation is kept so much longer, for nodes whose clocks are behind ours."""

_RUN: Final = re.compile(rb"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


class ValkeyWindow:
    """See `ProofWindow`. `prefix` keeps several gateways apart in one store."""

    def __init__(self, url: str, clock: Clock, prefix: str) -> None:
        self._clock = clock
        self._prefix = prefix
        self._run = ""
        self._secret = b""
        self._server = Valkey.from_url(url, socket_timeout=2, socket_connect_timeout=2, valkey_connect_func=self._greet)

    @classmethod
    async def connect(cls, url: str, clock: Clock, *, prefix: str = "gateway") -> ValkeyWindow:
        """Connect and agree on the nonce secret with the other processes; `ReplayUnavailable` otherwise."""
        window = cls(url, clock, prefix)
        try:
            await window._server.ping()
        except (ValkeyError, OSError, TimeoutError):
            await window.close()
            raise ReplayUnavailable from None
        return window

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
                pipe.get(self._secret_name(self._run)).set(name, b"1", nx=True, px=(left + _SKEW_SECONDS) * 1000)
                secret, reserved = await pipe.execute()
            if secret != self._secret:
                self._secret = await _agreed(self._server.execute_command, self._secret_name(self._run))
                raise ReplayUnavailable
        except (ValkeyError, OSError, TimeoutError):
            raise ReplayUnavailable from None
        return bool(reserved)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.aclose()

    async def _greet(self, connection: Any) -> None:
        """On every new connection: which run of the server is this, and what is its secret?"""
        await connection.on_connect()
        ask = partial(_answer, connection)
        found = _RUN.search(await ask("INFO", "server"))
        if found is None:
            raise ValkeyConnectionError("The server does not say which run it is.")
        run = found[1].decode()
        self._secret = await _agreed(ask, self._secret_name(run))
        self._run = run

    def _secret_name(self, run: str) -> str:
        return f"{self._prefix}:nonce-secret:{run}"


async def _answer(connection: Any, *command: str | bytes) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()


async def _agreed(ask: Callable[..., Awaitable[Any]], name: str) -> bytes:
    """The secret that the first process to ask has set."""
    await ask("SET", name, secrets.token_bytes(_SECRET_BYTES), "NX")
    secret = await ask("GET", name)
    if not isinstance(secret, bytes) or len(secret) != _SECRET_BYTES:
        raise ValkeyConnectionError("The server keeps no secret.")
    return secret

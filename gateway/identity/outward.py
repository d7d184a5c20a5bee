"""Connections to addresses that members name: outwards, and never into our own network.

The check of an address is made on the very one that the socket is about to connect to, after the name was resolved,
once: what the name would answer the next time is never asked. Redirects are not followed, proxies and cookies not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.errors import GatewayError, Invalid
from gateway.identity.key_address import checked_address, is_open_to_us

POST_SECONDS: Final = 10.0
_LOOKING_UP: Final = ThreadPoolExecutor(32, thread_name_prefix="names")
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_ACCEPTED: Final = range(200, 300)


class AddressRefused(OSError):
    """The name leads to where nothing public is."""


class NotAcknowledged(GatewayError):
    """The address did not take what was sent. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code, "The address did not acknowledge what was sent to it.")


class OwnThreads(AbstractResolver):
    """The system's resolver in threads of its own: a name whose servers never answer keeps only other names waiting."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of a name, of streams."""
        asked = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        return [
            ResolveResult(hostname=host, host=str(where[0]), port=port, family=of, proto=protocol, flags=_NUMERIC)
            for of, _, protocol, _, where in await asyncio.get_running_loop().run_in_executor(_LOOKING_UP, asked)
        ]

    async def close(self) -> None:
        """The threads are everybody's."""


def connector(*, loopback: bool, trust: ssl.SSLContext, resolver: AbstractResolver) -> aiohttp.TCPConnector:
    """Connections that are checked as said above; `loopback` lets a name lead to this machine."""

    def checked(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        if not is_open_to_us(ip_address(where[0]), loopback=loopback):
            raise AddressRefused
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        ssl=trust,
        resolver=resolver,
        socket_factory=checked,
        use_dns_cache=False,
        force_close=True,
        happy_eyeballs_delay=None,
    )


def is_refused(error: Exception) -> bool:
    """Whether a connection failed because its address was refused."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused)


class PostClient:
    """Sends over TLS with the system's (or the given) authorities, at most 10 seconds a time."""

    def __init__(
        self,
        *,
        loopback: bool = False,
        trust: ssl.SSLContext | None = None,
        resolver: Callable[[], AbstractResolver] = OwnThreads,
    ) -> None:
        self._loopback = loopback
        self._trust = trust or ssl.create_default_context()
        self._resolver = resolver

    async def post(self, uri: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Return once a status from 200 to 299 acknowledges it, else `NotAcknowledged`; the rest is not read."""
        try:
            checked_address(uri, loopback=self._loopback)
            async with asyncio.timeout(POST_SECONDS):
                status = await self._status(uri, content, headers)
        except Invalid:
            raise NotAcknowledged("PUSH_ADDRESS") from None
        except TimeoutError:
            raise NotAcknowledged("PUSH_TIMEOUT") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotAcknowledged("PUSH_ADDRESS" if is_refused(error) else "PUSH_UNREACHABLE") from None
        if status not in _ACCEPTED:
            raise NotAcknowledged(f"PUSH_STATUS_{status}")

    async def _status(self, uri: str, content: bytes, headers: Mapping[str, str]) -> int:
        made = connector(loopback=self._loopback, trust=self._trust, resolver=self._resolver())
        sent = {"User-Agent": "alliance-gateway", **headers}
        async with (
            aiohttp.ClientSession(connector=made, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(uri, data=content, headers=sent, allow_redirects=False) as answer,
        ):
            return answer.status

"""One bounded look at a key set that a member publishes.

The check of the address is made on the very address that the socket is about to connect to, after the name was
resolved, once: what the name would answer the next time is never asked. Redirects are not followed, proxies and
cookies not used.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.identity.key_address import KeysUnfetched, checked_address, is_open_to_us

DOCUMENT_BYTES: Final = 64 * 1024
SECONDS: Final = 3.0
_MOST_PUBLISHED: Final = 64
_TYPES: Final = ("application/json", "application/jwk-set+json")
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)


class _AddressRefused(OSError):
    """The name leads to where nothing public is."""


class KeySetClient:
    """Looks at addresses: at most 3 seconds and 64 KiB each, over TLS with the system's (or the given) authorities.

    `loopback` lets a name lead to this machine.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        trust: ssl.SSLContext | None = None,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
    ) -> None:
        self._loopback = loopback
        self._trust = trust or ssl.create_default_context()
        self._resolver = resolver

    async def look(self, uri: str) -> list[object]:
        """See `key_address.Look`. Time counts from asking for the name to the last byte."""
        try:
            checked_address(uri, loopback=self._loopback)
            async with asyncio.timeout(SECONDS):
                return _members(await self._document(uri))
        except Invalid:
            raise KeysUnfetched("KEYS_CONTENT") from None
        except TimeoutError:
            raise KeysUnfetched("KEYS_TIMEOUT") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused = isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _AddressRefused)
            raise KeysUnfetched("KEYS_ADDRESS" if refused else "KEYS_UNREACHABLE") from None

    async def _document(self, uri: str) -> bytes:
        connector = aiohttp.TCPConnector(
            ssl=self._trust,
            resolver=self._resolver(),
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
            happy_eyeballs_delay=None,
        )
        headers = {"Accept": ", ".join(_TYPES), "Accept-Encoding": "identity", "User-Agent": "alliance-gateway"}
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, headers=headers
            ) as session,
            session.get(uri, allow_redirects=False) as answer,
        ):
            if answer.status in _REDIRECTS:
                raise KeysUnfetched("KEYS_REDIRECT")
            if answer.status != _OK or answer.content_type not in _TYPES:
                raise KeysUnfetched("KEYS_CONTENT")
            return await _capped(answer.content)

    def _socket(self, address: Any) -> socket.socket:
        """A socket for an address that the name was resolved to, or an error that leaves it unconnected."""
        family, kind, protocol, _, where = address
        if not is_open_to_us(ip_address(where[0]), loopback=self._loopback):
            raise _AddressRefused
        return socket.socket(family, kind, protocol)


async def _capped(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > DOCUMENT_BYTES:
            raise KeysUnfetched("KEYS_TOO_LARGE")
    return bytes(body)


def _members(document: bytes) -> list[object]:
    """The members of `keys`; an empty list is a key set too."""
    found = parse(document)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST_PUBLISHED:
        raise KeysUnfetched("KEYS_CONTENT")
    return list(keys)

"""One bounded look at a key set that a member publishes, over a connection that `outward` checks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.identity.key_address import KeysUnfetched, checked_address
from gateway.identity.outward import OwnThreads, connector, is_refused

DOCUMENT_BYTES: Final = 64 * 1024
SECONDS: Final = 3.0
_MOST_PUBLISHED: Final = 64
_TYPES: Final = ("application/json", "application/jwk-set+json")
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)


class KeySetClient:
    """Looks at addresses: at most 3 seconds and 64 KiB each, over TLS with the system's (or the given) authorities.

    `loopback` lets a name lead to this machine.
    """

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
            raise KeysUnfetched("KEYS_ADDRESS" if is_refused(error) else "KEYS_UNREACHABLE") from None

    async def _document(self, uri: str) -> bytes:
        made = connector(loopback=self._loopback, trust=self._trust, resolver=self._resolver())
        headers = {"Accept": ", ".join(_TYPES), "Accept-Encoding": "identity", "User-Agent": "alliance-gateway"}
        async with (
            aiohttp.ClientSession(
                connector=made, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, headers=headers
            ) as session,
            session.get(uri, allow_redirects=False) as answer,
        ):
            if answer.status in _REDIRECTS:
                raise KeysUnfetched("KEYS_REDIRECT")
            if answer.status != _OK or answer.content_type not in _TYPES:
                raise KeysUnfetched("KEYS_CONTENT")
            return await _capped(answer.content)


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

"""A member's web server that publishes keys: real TLS on loopback, by an authority of its own, told to misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.services.nginx import throwaway_certificate


@dataclass
class KeySite:
    """Answers every request with `status`, `headers` and `body`; with `pause`, byte by byte that many seconds apart."""

    certificate: Path
    key: Path
    port: int = 0
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/jwk-set+json"})
    body: bytes = b'{"keys": []}'
    length: int | None = None
    pause: float = 0.0
    delay: float = 0.0
    connections: int = 0
    requests: list[str] = field(default_factory=list)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def uri(self) -> str:
        return f"https://localhost:{self.port}/keys"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client that knows the site's authority trusts."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def publish(self, *jwks: Mapping[str, Any]) -> None:
        self.body = json.dumps({"keys": list(jwks)}).encode()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[KeySite]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await server.wait_closed()
            await asyncio.sleep(0.01)  # until the aborted ones have heard of it

    async def at_rest(self) -> None:
        """Return once nobody is being answered."""
        while self._writers:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head.decode())
                await self._answer(writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.delay)
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body
        if not self.pause:
            writer.write(answer)
            await writer.drain()
            return
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(self.pause)


def new_site(folder: Path) -> KeySite:
    """A site that is not open yet."""
    return KeySite(*throwaway_certificate(folder))


class Names(AbstractResolver):
    """Name resolution as an attacker would have it: the n-th question gets the n-th answer, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host, host=address, port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET, proto=0, flags=0,
            )
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        pass

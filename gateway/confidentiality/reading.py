"""Reading the body of a request, and describing it in OpenAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from gateway.canonical import parse
from gateway.errors import Invalid, TooLarge

JSON: Final = "application/json"


class Streamed(Protocol):
    """A request whose body arrives in pieces."""

    def stream(self) -> AsyncIterator[bytes]:
        """The pieces, in order."""


async def body_of(request: Streamed, longest: int) -> bytes:
    """The body, or `TooLarge` as soon as it is."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > longest:
            raise TooLarge("body_too_large", f"The body has more than {longest} bytes.", field="/")
    return bytes(body)


def document_of(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, read strictly."""
    found = parse(body)
    if not isinstance(found, dict):
        raise Invalid("invalid_body", "The body is a JSON object.", field="/")
    return found


def described_body(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says about a JSON body."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}

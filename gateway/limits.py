"""Caps on what a request may be, and on how its body may come, before anything reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import Invalid, TooLarge, TooSlow
from gateway.problems import problem, problem_of

HEADER_BYTES = 32 * 1024
TARGET_BYTES = 8 * 1024
BODY_BYTES = 4 * 1024 * 1024
UPLOAD_BYTES = 4 * 1024 * 1024 * 1024
ARCHIVE_BYTES = 64 * 1024 * 1024
SLOWEST = 64 * 1024
"""Bytes in a second: as long as the largest body of its kind takes at this pace, every body may take."""
_STREAMED = "uploads"
_LARGER = {_STREAMED: UPLOAD_BYTES, "offline-consents": ARCHIVE_BYTES}
"""What may be larger where it is posted, by the last part of its path."""
_ANNOUNCING = frozenset((b"content-length", b"transfer-encoding"))
_LONGEST_LENGTH = 20

Wording = Mapping[str, Callable[[], Response]]
"""By path: the answer of an endpoint whose errors are no problem documents."""

_PROBLEMS: Final[Wording] = MappingProxyType({})


class Limits:
    """ASGI middleware: headers over 32 KiB are 431, targets over 8 KiB 414, bodies over 4 MiB 413, compressed ones 415.

    Uploads may have 4 GiB, archives of offline consents 64 MiB. What breaks a cap on its way to a path of `worded` is
    refused in the words of that.
    """

    def __init__(self, app: ASGIApp, worded: Wording = _PROBLEMS) -> None:
        self._app = app
        self._worded = worded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with the cap it broke."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = _most(scope)
        refusal = _refusal(scope, most)
        if refusal is not None:
            answer = self._worded[scope["path"]]() if scope["path"] in self._worded else refusal
            await answer(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        await self._app(scope, counted, send)


class Timely:
    """ASGI middleware: a body has come to its end in time (64 s, an archive 1024 s) or is 408, and the connection ends.

    Else a byte a minute would hold a place for ever. Uploads know their own end: they may not fall silent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads its body is told when the time is over."""
        if scope["type"] != "http" or not has_body(scope) or is_streamed(scope):
            await self._app(scope, receive, send)
            return
        seconds = _most(scope) / SLOWEST
        ends = asyncio.get_running_loop().time() + seconds
        coming, late = True, False

        async def in_time() -> Message:
            nonlocal coming, late
            if not coming:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                late = True
                raise _too_slow(seconds) from None
            coming = message.get("more_body", False)
            return message

        async def ending(message: Message) -> None:
            if late and message["type"] == "http.response.start":
                message["headers"].append((b"connection", b"close"))
            await send(message)

        await self._app(scope, in_time, ending)


def has_body(scope: Scope) -> bool:
    """Whether a body was announced (RFC 9112 section 6); without that there is none."""
    return any(name in _ANNOUNCING for name, _ in scope["headers"])


def is_streamed(scope: Scope) -> bool:
    """Whether the body is an upload's, which is taken in as it comes, for hours perhaps."""
    return _posted_to(scope) == _STREAMED


def _most(scope: Scope) -> int:
    """How large the body may be."""
    return _LARGER.get(_posted_to(scope), BODY_BYTES)


def _posted_to(scope: Scope) -> str:
    """The last part of the path that something is posted to, '' for another method."""
    last: str = scope["path"].rpartition("/")[2]
    return last if scope["method"] == "POST" else ""


def _refusal(scope: Scope, most: int) -> Response | None:
    """The problem of a request that breaks a cap already by what it announces."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
        return problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", f"Over {HEADER_BYTES} bytes.")
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES:
        return problem(HTTPStatus.REQUEST_URI_TOO_LONG, "target_too_long", f"Over {TARGET_BYTES} bytes.")
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in scope["headers"]):
        return _encoded_body()
    try:
        return problem_of(_too_large(most)) if _declared(scope) > most else None
    except Invalid as error:
        return problem_of(error)


def _encoded_body() -> Response:
    answer = problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "encoded_body",
        "A body is read as it comes, and never decompressed.",
        field="Content-Encoding",
        remedy="Send the body without a content coding.",
    )
    answer.headers["Accept-Encoding"] = "identity"  # RFC 9110 section 15.5.16
    return answer


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit() or len(value) > _LONGEST_LENGTH:
                raise Invalid("invalid_content_length", "Not a length.", field="Content-Length")
            return int(value)
    return 0


def _too_large(most: int) -> TooLarge:
    return TooLarge("body_too_large", f"The body exceeds {most} bytes.", field="body", remedy="Send it in parts.")


def _too_slow(seconds: float) -> TooSlow:
    return TooSlow(
        "body_too_slow",
        f"The body had not come to its end after {seconds:g} seconds; nothing was changed.",
        field="body",
        remedy="Send it again, without pauses.",
    )

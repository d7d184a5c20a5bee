"""The only file that knows RFC 9457 and status codes."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import (
    Conflicting,
    GatewayError,
    Invalid,
    NotAuthenticated,
    NotFound,
    OnHold,
    Refused,
    TooLarge,
    TooManyAttempts,
    TooSlow,
    Unavailable,
)
from gateway.policy.reasons import explained

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:alliance-gateway:problem:"
RETRY_AFTER_S = "1"

_STATUS: tuple[tuple[type[GatewayError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (OnHold, HTTPStatus.LOCKED),
    (Refused, HTTPStatus.FORBIDDEN),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (TooSlow, HTTPStatus.REQUEST_TIMEOUT),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS),
    (Conflicting, HTTPStatus.CONFLICT),
    (Invalid, HTTPStatus.BAD_REQUEST),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)
_logger = logging.getLogger("gateway")


def problem(status: HTTPStatus, code: str, detail: str, **members: Any) -> Response:
    """An RFC 9457 problem document. Members that are None are left out; nothing is ever cached."""
    document = {
        "type": TYPE_PREFIX + code.lower(),
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": _sendable(detail),
        **{name: _sendable(value) for name, value in members.items() if value is not None},
    }
    return Response(orjson.dumps(document), status, {"Cache-Control": "no-store"}, MEDIA_TYPE)


def _sendable(value: Any) -> Any:
    """A text as UTF-8 can carry it: the name of a caller's own member may hold a lone surrogate."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def status_of(error: GatewayError) -> HTTPStatus:
    """The status of a deliberate error."""
    return next((s for kind, s in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def internal_error() -> Response:
    """What is told of an error that nobody foresaw: nothing."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong inside the gateway.")


def problem_of(error: GatewayError) -> Response:
    """The document and headers for a deliberate error."""
    status = status_of(error)
    members: dict[str, Any] = {"field": error.field, "remedy": error.remedy}
    if isinstance(error, Refused):
        members["reasons"] = [
            {"code": reason.code, "clause": reason.clause, **explained(reason.code)} for reason in error.reasons
        ]
        members["event_id"] = error.event_id
    if isinstance(error, OnHold):
        members["case"] = error.case
    response = problem(status, error.code, error.detail, **members)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = RETRY_AFTER_S
    if isinstance(error, NotAuthenticated):
        for name, value in error.headers():
            response.headers.append(name, value)
    return response


def install(app: FastAPI) -> None:
    """Give every error of the application its problem document."""

    async def deliberate(_: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return problem_of(error)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: Mapping[str, Any] = error.errors()[0]
        field = "/" + "/".join(str(part)[:64] for part in first["loc"][1:])
        return problem(HTTPStatus.BAD_REQUEST, "invalid_request", str(first["msg"])[:200], field=field)

    async def routing(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, GatewayError):
            return problem_of(error.__cause__)
        status = HTTPStatus(error.status_code)
        if status is HTTPStatus.BAD_REQUEST:  # FastAPI could not read a body, as for an integer of 5,000 digits
            return problem(status, "invalid_json", "The body is no JSON that can be read.", field="/")
        response = problem(status, status.name.lower(), status.description or status.phrase)
        response.headers.update(error.headers or {})
        return response

    async def unforeseen(_: Request, error: Exception) -> Response:
        """The document; Starlette raises the error again behind it, for `Unexpected` to note."""
        del error
        return internal_error()

    app.add_exception_handler(Exception, unforeseen)
    app.add_exception_handler(GatewayError, deliberate)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, routing)


class Unexpected:
    """ASGI middleware, to be the outermost: what nobody foresaw is the 500 document, and ends here.

    Passed on, the server would print it with its message, which may quote what a request carried. Whoever leaves before
    the request has ended gets no answer and no line in a log, which strangers could fill so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 if nothing was answered yet; else the server cuts the unfinished answer off."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noticed)
        except ClientDisconnect:
            return
        except Exception as error:
            log_unexpected(error, f"in {scope['method']} {getattr(scope.get('route'), 'path', 'no route')}")
            if not started:
                await internal_error()(scope, receive, send)


class FramesOnly(logging.Formatter):
    """Prints of an exception its type and where it happened: no message, no cause, which might quote too much."""

    def formatException(  # noqa: N802 - as logging names it
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return "" if ei[0] is None else _frames(ei[0], ei[2])


def log_unexpected(error: BaseException, where: str) -> None:
    """Log an error's type and frames; never its message."""
    _logger.error("unexpected %s %s\n%s", type(error).__name__, where, _frames(type(error), error.__traceback__))


def log_background(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The event loop's exception handler: asyncio's own would print the message of what a task raised."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        log_unexpected(error, "beside requests")
    else:
        _logger.error("the event loop reports: %s", context["message"])


def _frames(kind: type[BaseException], trace: TracebackType | None) -> str:
    return "Traceback (most recent call last):\n" + "".join(traceback.format_tb(trace)) + kind.__name__

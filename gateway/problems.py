"""The only file that knows RFC 9457 and status codes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.errors import (
    Conflicting,
    GatewayError,
    Invalid,
    NotAuthenticated,
    NotFound,
    OnHold,
    Refused,
    TooLarge,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:alliance-gateway:problem:"
RETRY_AFTER_S = "1"

_STATUS: tuple[tuple[type[GatewayError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (OnHold, HTTPStatus.LOCKED),
    (Refused, HTTPStatus.FORBIDDEN),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
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


def problem_of(error: GatewayError) -> Response:
    """The document and headers for a deliberate error."""
    status = next((s for kind, s in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    members: dict[str, Any] = {"field": error.field, "remedy": error.remedy}
    if isinstance(error, Refused):
        members["reasons"] = [{"code": reason.code, "clause": reason.clause} for reason in error.reasons]
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
        response = problem(status, status.name.lower(), status.description or status.phrase)
        response.headers.update(error.headers or {})
        return response

    async def unexpected(request: Request, error: Exception) -> Response:
        _logger.error("unexpected %s in %s", type(error).__name__, request.scope.get("route"), exc_info=_frames(error))
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong inside the gateway.")

    app.add_exception_handler(GatewayError, deliberate)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, unexpected)


def _frames(error: BaseException) -> tuple[type[Exception], Exception, Any]:
    """Where it happened, without the message, which might quote what it should not."""
    return Exception, Exception(type(error).__name__), error.__traceback__

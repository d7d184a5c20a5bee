"""The API's operations as its application has them, and requests to it that no well-behaved client could send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from tests.access.world import Shared

NO_SUCH = "0" * 32


@dataclass(frozen=True, order=True)
class Operation:
    """One method of one path below /v1."""

    method: str
    path: str

    def at(self, **parts: str) -> str:
        """The path with its parts filled in: by name where given, else with what names nothing."""
        path = self.path
        for name in self.parts():
            path = path.replace("{" + name + "}", parts.get(name, UNKNOWN.get(name, NO_SUCH)))
        return path

    def parts(self) -> list[str]:
        """The names of the path's variable parts."""
        return [part.strip("{}").partition(":")[0] for part in self.path.split("/") if part.startswith("{")]


UNKNOWN = {"fingerprint": "A" * 43, "path": "0/000"}


def served(app: FastAPI) -> set[Operation]:
    """What the application's routers serve below /v1, but for the document itself."""
    return {
        Operation(method, route.path.replace("{path:path}", "{path}"))
        for route in _walk(app.routes)
        if isinstance(route, Route) and route.path.startswith("/v1/") and route.path != app.openapi_url
        for method in route.methods or ()
        if method != "HEAD"
    }


def documented(document: dict[str, Any]) -> set[Operation]:
    """What an OpenAPI document describes."""
    return {Operation(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def _walk(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _walk(inner.routes)


@dataclass
class Answer:
    """What an application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document


async def raw(
    app: FastAPI,
    method: str,
    path: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: Sequence[bytes] = (b"",),
    query: bytes = b"",
) -> Answer:
    """One request as bytes, past every client's own checks."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("utf-8", "surrogateescape"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8700),
    }
    answer = Answer()
    pieces = list(body)

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


async def as_bank(shared: Shared, operation: Operation, path: str, token: str, **request: Any) -> httpx.Response:
    """A call by the bank's system, which may do all that a member may do for itself."""
    return await shared.bank.call(operation.method, path, token, **request)


def told(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.headers["content-type"] == "application/problem+json", (answer.status_code, answer.text)
    document: dict[str, Any] = answer.json()
    assert document.keys() >= {"type", "title", "status", "code", "detail"}
    assert document["status"] == answer.status_code
    return document


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a document."""
    if way:
        yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*way, name))


def replaced(value: Any, way: tuple[Any, ...], by: Any) -> Any:
    """The document with one part replaced."""
    if not way:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = replaced(value[way[0]], way[1:], by)
    return copy

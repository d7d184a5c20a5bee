"""The transparency logs over HTTP, as C2SP tlog-tiles: for the owner of a log, or for everybody in a demonstration.

Entry bodies name members and records, and a checkpoint tells how much was accessed, so a log is
its owner's: a token of that member with the action `audit`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from gateway.errors import NotFound
from gateway.identity import Subject
from gateway.ledger.tiles import TileName, Tiles

Authenticate = Callable[[Request], Awaitable[Subject]]

_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-store"}


def routes(tiles: Tiles, authenticate: Authenticate, *, open_logs: bool) -> APIRouter:
    """`/v1/logs/{log}/checkpoint` and `/v1/logs/{log}/tile/…`; any other caller sees 404."""
    router = APIRouter(prefix="/v1/logs/{log}", tags=["logs"])

    async def admit(request: Request, log: str) -> None:
        if open_logs:
            return
        subject = await authenticate(request)
        subject.require("audit")
        if subject.member != log:
            raise NotFound

    @router.get("/checkpoint", summary="The newest signed checkpoint", response_class=Response)
    async def checkpoint(request: Request, log: str) -> Response:
        """A C2SP signed note over origin, size and root."""
        await admit(request, log)
        return Response(await tiles.checkpoint(log), 200, _FRESH, _TEXT)

    @router.get("/tile/{path:path}", summary="A tile of hashes, or of entries", response_class=Response)
    async def tile(request: Request, log: str, path: str) -> Response:
        """256 wide, or as wide as the checkpoint reaches (`.p/W`)."""
        await admit(request, log)
        name = TileName.parse(f"tile/{path}")
        if name.level is None:
            return Response(await tiles.entries(log, name.index, name.width), 200, _FOR_EVER, _BYTES)
        return Response(await tiles.tile(log, name.level, name.index, name.width), 200, _FOR_EVER, _BYTES)

    return router

"""The transparency logs over HTTP: for the owner of a log, or for everybody in a demonstration.

Logs are served as C2SP tlog-tiles, the proof of a single entry as C2SP tlog-proof.

Entry bodies name members and records, and a checkpoint, which a proof carries, tells how much was accessed. So a log
is its owner's: a token of that member with the action `audit`. What a recipient has of it, the owner hands over.
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
    """`checkpoint`, `tile/…` and `proofs/{event_id}` below `/v1/logs/{log}`; any other caller sees 404."""
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

    @router.get("/proofs/{event_id}", summary="The proof that an entry stands in the log", response_class=Response)
    async def proof(request: Request, log: str, event_id: str) -> Response:
        """A C2SP tlog-proof of the newest signed tree; 404 until a checkpoint covers the entry, about a second."""
        await admit(request, log)
        return Response(await tiles.proof(log, event_id), 200, _FRESH, _TEXT)

    return router

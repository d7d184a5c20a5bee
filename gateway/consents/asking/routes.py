"""Asking for consents over HTTP: by the dataset's owner alone. Nothing here decides."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response, status

from gateway.canonical import canonical
from gateway.catalog.routes import read_body
from gateway.confidentiality.filing import Filing
from gateway.confidentiality.reading import JSON, described_body, document_of
from gateway.consents.asking.requesting import Requesting
from gateway.database.idempotency import fingerprint
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST = 64 * 1024
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_TEXT: dict[str, Any] = {"type": "string"}
_WORDS: dict[str, Any] = {"type": "array", "items": _TEXT}
_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["recipient", "purpose"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("recipient", "purpose", "kind"), _TEXT),
        **dict.fromkeys(("fields", "optional", "channels"), _WORDS),
        **{name: {"type": "integer"} for name in ("expires_after_days", "max_uses")},
    },
}
_GUARDIAN: dict[str, Any] = {
    "type": "object",
    "required": ["relation", "channel", "address"],
    "additionalProperties": False,
    "properties": dict.fromkeys(("relation", "channel", "address"), _TEXT),
}
_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["subject", "notice_sha256", "language", "items"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("subject", "notice_sha256", "language", "channel", "address"), _TEXT),
        **dict.fromkeys(("age_band", "turns_14_at"), _TEXT),
        "items": {"type": "array", "items": _ITEM},
        "guardian": _GUARDIAN,
    },
}
_CONTACT: dict[str, Any] = {
    "type": "object",
    "required": ["subject", "channel", "address"],
    "additionalProperties": False,
    "properties": dict.fromkeys(("subject", "channel", "address"), _TEXT),
}
_CONTACTS: dict[str, Any] = {
    "type": "object",
    "required": ["contacts"],
    "additionalProperties": False,
    "properties": {"contacts": {"type": "array", "items": _CONTACT}},
}


def routes(authenticate: Authenticate, requesting: Requesting) -> APIRouter:
    """Asking, looking how it goes, and stating how persons are reached."""
    router = APIRouter(prefix="/v1", tags=["consents"])
    caller = Depends(authenticate)

    @router.post(
        "/datasets/{dataset_id}/consent-requests",
        status_code=status.HTTP_201_CREATED,
        summary="Ask a person for consents",
        openapi_extra=described_body(_REQUEST),
    )
    async def ask(
        request: Request,
        subject: Annotated[Subject, caller],
        dataset_id: _Id,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Sends one link to `address` (a number for `sms`, an `email` address), or to the `guardian`'s.

        Each item is a recipient, a purpose and `fields`, or `channels` of `kind` contact; `optional` fields are off
        until the person turns them on. The notice is published. Needs `consent`.
        """
        body = await read_body(request, LONGEST)
        filing = Filing(subject, idempotency_key, fingerprint("POST consent-requests", dataset_id, body))
        answer = await requesting.ask(filing, dataset_id, document_of(body))
        return Response(answer, status.HTTP_201_CREATED, media_type=JSON)

    @router.get("/consent-requests/{request_id}", summary="How a request goes")
    async def show(subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """When it was sent, what became of each item; without the person."""
        return Response(canonical(await requesting.show(subject, request_id)), media_type=JSON)

    @router.post(
        "/datasets/{dataset_id}/contacts",
        summary="State how persons are reached",
        openapi_extra=described_body(_CONTACTS),
    )
    async def state(request: Request, subject: Annotated[Subject, caller], dataset_id: _Id) -> Response:
        """Up to 100; each takes the place of the person's former number or address. Needs `consent`.

        With it a person finds its consents by itself. It is trusted for 180 days from here, or from the last code.
        """
        said = document_of(await read_body(request, LONGEST))
        return Response(canonical(await requesting.state(subject, dataset_id, said)), media_type=JSON)

    return router

"""Notices over HTTP: what the dataset's owner tells persons before they consent."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response, status

from gateway.canonical import canonical
from gateway.catalog.routes import read_object
from gateway.consents.notice import Notice
from gateway.consents.notice_text import LONGEST_NOTICE, SCHEMA
from gateway.consents.notices import Notices
from gateway.consents.statement import instant_of
from gateway.errors import Invalid
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY = 1024
_JSON = "application/json"
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_DRAFT: dict[str, Any] = {
    "type": "object",
    "required": ["name", "document"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "document": dict(SCHEMA)},
}
_PUBLICATION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"used_from": {"type": "string", "format": "date-time"}},
}


def routes(authenticate: Authenticate, notices: Notices) -> APIRouter:
    """Drafting, publishing, retiring and reading."""
    router = APIRouter(prefix="/v1", tags=["consents"])
    caller = Depends(authenticate)

    @router.post(
        "/datasets/{dataset_id}/notices",
        status_code=status.HTTP_201_CREATED,
        summary="Draft a notice",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _DRAFT}}}},
    )
    async def draft(request: Request, subject: Annotated[Subject, caller], dataset_id: _Id) -> Response:
        """The next version of `name`, complete or not yet; it replaces a draft of that name. Needs `consent`."""
        body = await read_object(request, tuple(_DRAFT["properties"]), longest=LONGEST_NOTICE)
        name, document = body.get("name"), body.get("document")
        if not isinstance(name, str):
            raise Invalid("invalid_name", "It is a string.", field="/name")
        if not isinstance(document, dict):
            raise Invalid("notice_incomplete", "The notice is an object.", field="/document")
        drafted = await notices.draft(subject, dataset_id, name, document)
        return Response(canonical(shown(drafted)), status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/datasets/{dataset_id}/notices", summary="The notices of a dataset of yours")
    async def of_dataset(subject: Annotated[Subject, caller], dataset_id: _Id) -> Response:
        """Every version, by name."""
        found = await notices.of_dataset(subject, dataset_id)
        return _json({"items": [shown(one) for one in found]})

    @router.get("/notices/{notice_id}", summary="One notice")
    async def show(subject: Annotated[Subject, caller], notice_id: _Id) -> Response:
        """With its document, whose RFC 8785 bytes have the digest `sha256`."""
        found = await notices.show(subject, notice_id)
        return _json(shown(found) | {"document": found.document})

    @router.post(
        "/notices/{notice_id}/publication",
        summary="Publish a notice",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _PUBLICATION}}}},
    )
    async def publish(request: Request, subject: Annotated[Subject, caller], notice_id: _Id) -> Response:
        """From now on, or since `used_from` on paper. What it lacks is named, with the law that asks for it.

        The version before retires; where this one changes an item materially, the consents to it go stale. Needs
        `consent`.
        """
        body = await read_object(request, tuple(_PUBLICATION["properties"]), longest=LONGEST_BODY)
        used_from = instant_of(body, "used_from") if "used_from" in body else None
        return _json(shown(await notices.publish(subject, notice_id, used_from=used_from)))

    @router.post("/notices/{notice_id}/retirement", summary="Retire a notice")
    async def retire(subject: Annotated[Subject, caller], notice_id: _Id) -> Response:
        """Nobody consents to it any more; what was consented to stands. Needs `consent`; twice changes nothing."""
        return _json(shown(await notices.retire(subject, notice_id)))

    return router


def shown(notice: Notice) -> dict[str, Any]:
    """A notice without its text."""
    return {
        "id": notice.id,
        "name": notice.name,
        "version": notice.version,
        "sha256": notice.sha256,
        "state": notice.state,
        "material": notice.material,
        "used_from": notice.used_from,
        "retired_at": notice.retired_at,
    }


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=_JSON)

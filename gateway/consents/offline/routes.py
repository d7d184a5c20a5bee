"""Offline consents over HTTP: imported, looked up and invalidated by the dataset's owner alone."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.canonical import canonical
from gateway.catalog.routes import read_body, read_object
from gateway.consents.contacts import Address
from gateway.consents.offline.archive import LONGEST_ARCHIVE
from gateway.consents.offline.offline import OfflineConsents
from gateway.consents.statement import subject_of
from gateway.errors import Invalid
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_PAGE: Final = 100
_JSON = "application/json"
_ZIP = "application/zip"
_INVITATION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["subject", "channel", "address"],
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("subject", "channel", "address")},
}
LONGEST_BODY: Final = 16 * 1024
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def routes(authenticate: Authenticate, authenticate_withdrawing: Authenticate, offline: OfflineConsents) -> APIRouter:
    """Everything under `/v1/offline-consents`, and the import. A suspended member invalidates too."""
    router = APIRouter(prefix="/v1", tags=["consents"])
    caller, withdrawing = Depends(authenticate), Depends(authenticate_withdrawing)
    batches = offline.batches

    @router.post(
        "/datasets/{dataset_id}/offline-consents",
        status_code=status.HTTP_201_CREATED,
        summary="Import consents that were given on paper",
        openapi_extra={"requestBody": {"required": True, "content": {_ZIP: {}}}},
    )
    async def receive(
        request: Request,
        subject: Annotated[Subject, caller],
        dataset_id: _Id,
        dry_run: bool = True,
        all_or_nothing: bool = False,
    ) -> Response:
        """A ZIP of `consents.csv`, `MANIFEST.sha256` and the evidence; up to 64 MiB and 100,000 rows. Needs `consent`.

        A dry run, which is the default, reports row by row and changes nothing. What is imported discloses nothing
        until the person confirms, or two operators accept the batch by a sample. The same archive again answers alike.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _ZIP:
            raise Invalid("unsupported_media_type", "An archive is application/zip.", field="Content-Type")
        body = await read_body(request, LONGEST_ARCHIVE)
        answer = await batches.receive(subject, dataset_id, body, dry_run=dry_run, all_or_nothing=all_or_nothing)
        return Response(answer, status.HTTP_200_OK if dry_run else status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/offline-consents", summary="Your batches of offline consents")
    async def page(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern="^[0-9a-f]{32}$|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 20,
    ) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await batches.page(subject, after=after, limit=limit)
        following = found[-1].id if len(found) == limit else None
        return Response(canonical({"items": [one.describe() for one in found], "next": following}), media_type=_JSON)

    @router.get("/offline-consents/{batch_id}", summary="One batch with its report")
    async def report(subject: Annotated[Subject, caller], batch_id: _Id) -> Response:
        """Without a value of any row, and where it stands: its plan, and the seed that drew its sample."""
        return Response(await batches.report(subject, batch_id), media_type=_JSON)

    @router.post(
        "/offline-consents/{batch_id}/invitations",
        status_code=status.HTTP_201_CREATED,
        summary="Have a person confirm",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _INVITATION}}}},
    )
    async def invite(request: Request, subject: Annotated[Subject, caller], batch_id: _Id) -> Response:
        """A link to `address`, by `channel`, to one person of the batch; the code decides there. Needs `consent`."""
        body = await read_object(request, tuple(_INVITATION["properties"]), longest=LONGEST_BODY)
        address = Address.read(body.get("channel"), body.get("address"))
        told = await offline.confirming.invite(subject, batch_id, subject_of(body), address)
        return Response(canonical(told), status.HTTP_201_CREATED, media_type=_JSON)

    @router.post("/offline-consents/{batch_id}/invalidation", summary="Invalidate a batch")
    async def invalidate(subject: Annotated[Subject, withdrawing], batch_id: _Id) -> Response:
        """No permit by a consent of it follows in the ledger. Needs `withdraw`; a second time changes nothing."""
        return Response(canonical((await batches.invalidate(subject, batch_id)).describe()), media_type=_JSON)

    return router

"""Overlaps over HTTP; for the two members alone."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.agreements.fields import FIELD_NAME, IDENTIFIER
from gateway.canonical import canonical
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.identity.subject import Subject
from gateway.overlap.freezing import NORMALISED
from gateway.overlap.overlaps import MOST_LISTED, Overlaps

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_ID = "^[0-9a-f]{32}$"
_LONGEST: Final = 4096
_NAME: Final = {"type": "string", "pattern": f"^{IDENTIFIER}$"}
_SIDE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"agreement": _NAME, "dataset": _NAME, "field": {"type": "string", "pattern": f"^{FIELD_NAME}$"}},
    "required": ["agreement", "dataset", "field"],
    "additionalProperties": False,
}
_WISH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"matched_by": {"enum": list(NORMALISED)}, "own": _SIDE, "other": _SIDE},
    "required": ["matched_by", "own", "other"],
    "additionalProperties": False,
}


def routes(authenticate: Authenticate, overlaps: Overlaps) -> APIRouter:
    """`/v1/overlaps`."""
    router = APIRouter(prefix="/v1/overlaps", tags=["overlaps"])
    caller = Depends(authenticate)
    one = Annotated[str, Path(pattern=_ID)]

    @router.post(
        "",
        status_code=status.HTTP_201_CREATED,
        summary="Ask another member how many customers you share",
        openapi_extra=described_body(_WISH),
    )
    async def propose(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """`own` is your dataset under your agreement, `other` theirs, which your token grants for `matching`."""
        said = document_of(await body_of(request, _LONGEST))
        return _json(await overlaps.propose(subject, said), status.HTTP_201_CREATED)

    @router.get("", summary="Your overlaps")
    async def list_overlaps(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern=f"{_ID}|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> Response:
        """Proposed by you or to you, by id; `next`, if not null, is the `after` of the next page."""
        page = await overlaps.page(subject, after=after, limit=limit)
        return _json({"items": page, "next": page[-1]["id"] if len(page) == limit else None})

    @router.get("/{overlap}", summary="One of your overlaps")
    async def show(subject: Annotated[Subject, caller], overlap: one) -> Response:
        """Its state, and while it runs how many of the two sides were read."""
        return _json(await overlaps.show(subject, overlap))

    @router.post("/{overlap}/acceptance", summary="Agree to a count")
    async def accept(subject: Annotated[Subject, caller], overlap: one) -> Response:
        """By the member that was asked; its token grants the proposer's dataset for `matching`. Then it runs."""
        return _json(await overlaps.accept(subject, overlap))

    @router.delete("/{overlap}", summary="Decline a count")
    async def decline(subject: Annotated[Subject, caller], overlap: one) -> Response:
        """By the member that was asked; a second time changes nothing."""
        return _json(await overlaps.decline(subject, overlap))

    @router.get("/{overlap}/count", summary="How many customers two members share")
    async def count(subject: Annotated[Subject, caller], overlap: one) -> Response:
        """`at_least` and `fewer_than`; below the cohort the former is 0. 503 between two attempts."""
        return _json(await overlaps.count(subject, overlap))

    return router


def _json(value: Any, code: int = status.HTTP_200_OK) -> Response:
    return Response(canonical(value), code, media_type=JSON)

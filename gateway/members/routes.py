"""The directory of members, and the confirmation of their signing keys."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.identity.subject import Subject
from gateway.members.directory import Directory
from gateway.members.keys import SigningKeys

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LARGEST_PAGE = 100
_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_FINGERPRINT = "^[A-Za-z0-9_-]{43}$"


def routes(authenticate: Authenticate, directory: Directory, keys: SigningKeys) -> APIRouter:
    """`GET /v1/members` and `POST /v1/signing-keys/{fingerprint}/confirmation`."""
    router = APIRouter(prefix="/v1", tags=["members"])

    @router.get("/members", summary="Members of the alliance and their signing keys")
    async def list_members(
        subject: Annotated[Subject, Depends(authenticate)],
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = LARGEST_PAGE,
    ) -> dict[str, Any]:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await directory.page(subject.alliance, subject.member, after=after or "", limit=limit + 1)
        page = found[:limit]
        return {"items": page, "next": page[-1]["id"] if len(found) > limit else None}

    @router.post(
        "/signing-keys/{fingerprint}/confirmation",
        status_code=status.HTTP_204_NO_CONTENT,
        summary="Confirm that a signing key is really the other member's",
    )
    async def confirm_signing_key(
        subject: Annotated[Subject, Depends(authenticate)],
        fingerprint: Annotated[str, Path(pattern=_FINGERPRINT)],
    ) -> Response:
        """Compare the fingerprint over another channel first. Needs `sign`; a second time changes nothing."""
        await keys.confirm(subject, fingerprint)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router

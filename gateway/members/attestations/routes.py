"""Attestations over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import BaseModel, Field

from gateway.identity.subject import Subject
from gateway.members.attestations.attestations import Attestations
from gateway.members.attestations.statement import LARGEST

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LARGEST_PAGE = 100
_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class SignedStatement(BaseModel, extra="forbid"):
    """What a member attests, signed."""

    jws: Annotated[str, Field(max_length=LARGEST)]


def routes(authenticate: Authenticate, attestations: Attestations) -> APIRouter:
    """`/v1/attestations`."""
    router = APIRouter(prefix="/v1/attestations", tags=["members"])

    @router.post("", status_code=status.HTTP_201_CREATED, summary="Attest, or correct an attestation")
    async def attest(subject: Annotated[Subject, Depends(authenticate)], signed: SignedStatement) -> dict[str, Any]:
        """A compact JWS with `typ` `attestation+jws` by your signing key (clause 1.3.3). Needs `sign`."""
        return await attestations.make(subject, signed.jws)

    @router.get("", summary="Your attestations, and what others attested about themselves")
    async def list_attestations(
        subject: Annotated[Subject, Depends(authenticate)],
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = LARGEST_PAGE,
    ) -> dict[str, Any]:
        """By id, corrected and false ones included; `next`, if not null, is the `after` of the next page."""
        found = await attestations.page(subject, after=after or "", limit=limit + 1)
        page = found[:limit]
        return {"items": page, "next": page[-1]["id"] if len(found) > limit else None}

    return router

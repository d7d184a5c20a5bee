"""Addresses for pushes over HTTP: a recipient's own."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict

from gateway.access.push_addresses import MOST_LISTED, PushAddresses
from gateway.access.routes import Name, body_of
from gateway.identity import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_ID = "^[0-9a-f]{32}$"


class PushWish(BaseModel):
    """Where to send what is published of a dataset, under an agreement, for a purpose."""

    model_config = ConfigDict(extra="forbid", strict=True)

    agreement: str
    dataset: str
    purpose: Name
    uri: str


_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": PushWish.model_json_schema()}}}}


def routes(authenticate: Authenticate, addresses: PushAddresses) -> APIRouter:
    """`/v1/pushes`."""
    router = APIRouter(prefix="/v1/pushes", tags=["reads"])
    caller = Depends(authenticate)

    @router.post(
        "", status_code=status.HTTP_201_CREATED, summary="Have uploads sent to an address", openapi_extra=_BODY
    )
    async def register(request: Request, subject: Annotated[Subject, caller]) -> dict[str, Any]:
        """An https address. The token grants to read this under the agreement; the agreement names `push`."""
        wish = await body_of(request, PushWish)
        return await addresses.register(subject, wish.agreement, wish.dataset, wish.purpose, wish.uri)

    @router.get("", summary="Your addresses")
    async def list_addresses(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern=f"{_ID}|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> dict[str, Any]:
        """By id; `next`, if not null, is the `after` of the next page."""
        page = await addresses.page(subject, after=after, limit=limit)
        return {"items": page, "next": page[-1]["id"] if len(page) == limit else None}

    @router.get("/{push}", summary="One of your addresses")
    async def show(subject: Annotated[Subject, caller], push: Annotated[str, Path(pattern=_ID)]) -> dict[str, Any]:
        """With what was delivered there and what is on its way."""
        return await addresses.show(subject, push)

    @router.delete("/{push}", status_code=status.HTTP_204_NO_CONTENT, summary="Send nothing more there")
    async def end(subject: Annotated[Subject, caller], push: Annotated[str, Path(pattern=_ID)]) -> Response:
        """A second time changes nothing."""
        await addresses.end(subject, push)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router

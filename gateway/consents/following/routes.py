"""Withdrawals over HTTP: what a recipient must do and its answers, its address, and what the owner sees of it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.catalog.routes import read_object
from gateway.consents.following.compliance import ACKNOWLEDGEMENT, COMPLIANCE, MOST_ONWARD
from gateway.consents.following.following import Following
from gateway.consents.following.states import Way
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY: Final = 64 * 1024
MOST_LISTED: Final = 100
_PATTERN = "^[0-9a-f]{32}$"
_Id = Annotated[str, Path(pattern=_PATTERN)]
_TEXT: Final = {"type": "string"}
_ONWARD: Final = {
    "type": "array",
    "maxItems": MOST_ONWARD,
    "items": {"type": "object", "properties": {"member": _TEXT, "name": _TEXT}, "additionalProperties": False},
}
_PROOF: Final = {"type": "object", "properties": {"sha256": _TEXT, "text": _TEXT}, "additionalProperties": False}
_WAY: Final = {"type": "string", "enum": [way.value for way in Way]}


def routes(authenticate_suspended: Authenticate, following: Following) -> APIRouter:
    """Everything under `/v1/withdrawals`. A suspended member owes all of it too."""
    router = APIRouter(prefix="/v1/withdrawals", tags=["withdrawals"])
    caller = Depends(authenticate_suspended)

    @router.get("", summary="Withdrawals to follow")
    async def list_withdrawals(
        subject: Annotated[Subject, caller],
        role: Literal["recipient", "owner"] = "recipient",
        consent: Annotated[str, Query(pattern=f"{_PATTERN}|^$")] = "",
        answered: bool = False,
        after: Annotated[str, Query(pattern=f"{_PATTERN}|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> dict[str, Any]:
        """As recipient: what you must do, and what you have done with `answered`. As owner: how far everybody is.

        By id; `next`, if not null, is the `after` of the next page. `consent` is for owners.
        """
        if role == "owner":
            page = await following.supervising.page(subject, consent=consent, after=after, limit=limit)
        else:
            page = await following.answering.page(subject, after=after, limit=limit, answered=answered)
        return {"items": page, "next": page[-1]["id"] if len(page) == limit else None}

    @router.get("/address", summary="Your address")
    async def address(subject: Annotated[Subject, caller]) -> dict[str, Any]:
        """Where you are told of withdrawals."""
        return await following.addresses.show(subject)

    @router.put("/address", summary="Be told of withdrawals at an address", openapi_extra=_body(uri=_TEXT))
    async def register(request: Request, subject: Annotated[Subject, caller]) -> dict[str, Any]:
        """An https address, in place of your former one. Needs `withdraw`. Webhooks as of Standard Webhooks 1.0.0."""
        body = await read_object(request, ("uri",), longest=LONGEST_BODY)
        return await following.addresses.register(subject, body.get("uri"))

    @router.delete("/address", status_code=status.HTTP_204_NO_CONTENT, summary="Be told there no more")
    async def end(subject: Annotated[Subject, caller]) -> Response:
        """A second time changes nothing; what you must do stays listed here."""
        await following.addresses.end(subject)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    @router.get("/{withdrawal}", summary="One withdrawal that you must follow")
    async def show(subject: Annotated[Subject, caller], withdrawal: _Id) -> dict[str, Any]:
        """What is asked, about which records, by when, and how you answered."""
        return await following.answering.show(subject, withdrawal)

    @router.post(
        "/{withdrawal}/acknowledgement", summary="Acknowledge a withdrawal", openapi_extra=_body(onward=_ONWARD)
    )
    async def acknowledge(request: Request, subject: Annotated[Subject, caller], withdrawal: _Id) -> dict[str, Any]:
        """With everybody to whom you passed the data on. Needs `withdraw`; a second time changes nothing."""
        body = await read_object(request, ACKNOWLEDGEMENT, longest=LONGEST_BODY)
        return await following.answering.acknowledge(subject, withdrawal, body)

    @router.post(
        "/{withdrawal}/compliance",
        summary="Say how you complied",
        openapi_extra=_body(how=_WAY, legal=_TEXT, proof=_PROOF, onward=_ONWARD),
    )
    async def comply(request: Request, subject: Annotated[Subject, caller], withdrawal: _Id) -> dict[str, Any]:
        """`how`, with a proof (a text, or the SHA-256 of what you keep); `retained` names the law in `legal`.

        Needs `withdraw`; the same again changes nothing. No personal data belongs into any of it.
        """
        body = await read_object(request, COMPLIANCE, longest=LONGEST_BODY)
        return await following.answering.comply(subject, withdrawal, body)

    @router.post("/{withdrawal}/verification", summary="Take a recipient's proof")
    async def verify(subject: Annotated[Subject, caller], withdrawal: _Id) -> dict[str, Any]:
        """By the owner of the data alone. Needs `withdraw`; a second time changes nothing."""
        return await following.supervising.verify(subject, withdrawal)

    return router


def _body(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

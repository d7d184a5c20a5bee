"""Duties over HTTP: a member's own calendar, and the certificates that it owes after an agreement's end."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gateway.agreements.schemas import SIGNATURE, read_jws
from gateway.canonical import canonical
from gateway.catalog.routes import read_body
from gateway.clock import Clock, seconds
from gateway.duties.duties import Duties
from gateway.duties.icalendar import MEDIA_TYPE, icalendar
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY = 256 * 1024
DEFAULT_RANGE_S: Final = 31 * 24 * 3600
_JSON = "application/json"
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_Instant = Annotated[int | None, Query(ge=0, le=253_402_300_799, description="Epoch seconds.")]


def routes(authenticate_suspended: Authenticate, duties: Duties, clock: Clock) -> APIRouter:
    """Everything under `/v1/duties`. A suspended member sees its duties too, and certifies what it owes."""
    router = APIRouter(prefix="/v1", tags=["duties"])
    caller = Depends(authenticate_suspended)

    async def between(subject: Subject, since: int | None, until: int | None) -> Any:
        first = seconds(clock()) if since is None else since
        last = first + DEFAULT_RANGE_S if until is None else until
        return await duties.agenda.of(subject.member, first, last)

    @router.get("/duties", summary="Your calendar of duties")
    async def calendar(subject: Annotated[Subject, caller], since: _Instant = None, until: _Instant = None) -> Response:
        """What you owe and what you are owed, by its instant; from now on for 31 days if not asked otherwise.

        `provisional`: the year's holidays were not published when it was reckoned. `state` `calendar_unknown` or
        `time_zone_unknown`: the gateway's libraries know them no more, so no date of this dataset can be told.
        """
        return Response(canonical({"items": list(await between(subject, since, until))}), media_type=_JSON)

    @router.get("/duties.ics", summary="The same as an iCalendar file", response_class=Response)
    async def calendar_file(
        subject: Annotated[Subject, caller], since: _Instant = None, until: _Instant = None
    ) -> Response:
        """RFC 5545; provisional dates are tentative."""
        return Response(icalendar(await between(subject, since, until), clock()), media_type=MEDIA_TYPE)

    @router.get("/duties/returns/{agreement_id}", summary="The certificate to sign", response_class=Response)
    async def text(
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        outcome: Literal["destroyed", "returned"] = "destroyed",
    ) -> Response:
        """The exact bytes, for what you received under an agreement that has ended (clause 8.3)."""
        return Response(await duties.returns.text(subject, agreement_id, outcome), media_type=_JSON)

    @router.post("/duties/returns/{agreement_id}", openapi_extra=_body(), summary="Certify return or destruction")
    async def certify(request: Request, subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """A compact JWS over those bytes, `typ` `destruction-certificate+jws`, by your key for agreements.

        Needs `sign` or `withdraw`; the same one again changes nothing.
        """
        jws = read_jws(await read_body(request, LONGEST_BODY))
        return Response(canonical(await duties.returns.certify(subject, agreement_id, jws)), media_type=_JSON)

    return router


def _body() -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": SIGNATURE}}}}

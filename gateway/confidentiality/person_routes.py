"""Persons and NDAs over HTTP. A member sees its own persons, and the NDAs that it gave or was given."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status

from gateway.agreements.schemas import read_jws
from gateway.canonical import canonical
from gateway.confidentiality.bodies import LONGEST, PERSON, STATEMENT
from gateway.confidentiality.confidentiality import Confidentiality
from gateway.confidentiality.filing import Filing
from gateway.confidentiality.persons import LONGEST_PAGE
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.database.idempotency import fingerprint
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_Id = Annotated[str, Path(pattern=_ID)]


def routes(authenticate: Authenticate, confidentiality: Confidentiality) -> APIRouter:
    """Everything under `/v1/persons` and `/v1/ndas`."""
    router = APIRouter(prefix="/v1", tags=["confidentiality"])
    caller = Depends(authenticate)
    persons, ndas = confidentiality.persons, confidentiality.ndas

    @router.post(
        "/persons",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(PERSON),
        summary="Record a person of yours",
    )
    async def add_person(
        request: Request,
        subject: Annotated[Subject, caller],
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The name is sealed under your key and told to you alone; tokens name the id. Needs `confide`."""
        body = await body_of(request, LONGEST)
        filing = Filing(subject, idempotency_key, fingerprint("POST persons", body))
        answer = await persons.add(filing, document_of(body))
        return Response(answer, status.HTTP_201_CREATED, media_type=JSON)

    @router.get("/persons", summary="Your persons")
    async def list_persons(
        subject: Annotated[Subject, caller],
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 20,
    ) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await persons.page(subject, after=after or "", limit=limit + 1)
        following = found[limit - 1]["id"] if len(found) > limit else None
        return _json({"items": found[:limit], "next": following})

    @router.delete("/persons/{person_id}", status_code=status.HTTP_204_NO_CONTENT, summary="A person has left")
    async def leave(subject: Annotated[Subject, caller], person_id: _Id) -> Response:
        """From now on this person reads nothing, under no agreement. Needs `confide`; twice changes nothing."""
        await persons.leave(subject, person_id)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    @router.post("/persons/{person_id}/nda", openapi_extra=described_body(STATEMENT), summary="File a person's NDA")
    async def record_nda(request: Request, subject: Annotated[Subject, caller], person_id: _Id) -> Response:
        """A compact JWS of `typ` `nda+jws` by your key for agreements, over the text of kind `person_nda`.

        Needs `sign`. The same text again changes nothing; one that has ended is refused.
        """
        return _json(await ndas.record(subject, person_id, read_jws(await body_of(request, LONGEST))))

    @router.post("/ndas", openapi_extra=described_body(STATEMENT), summary="File your company's NDA")
    async def undertake(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """A compact JWS of `typ` `nda+jws` by your key for agreements, over the text of kind `organisation_nda`.

        Needs `sign`. The same text again changes nothing; one that has ended is refused.
        """
        return _json(await ndas.undertake(subject, read_jws(await body_of(request, LONGEST))))

    @router.get("/ndas/{nda_id}", summary="One NDA")
    async def show_nda(subject: Annotated[Subject, caller], nda_id: _Id) -> Response:
        """For whoever gave it, and the owner to whom it was given."""
        return _json(await ndas.show(subject, nda_id))

    @router.delete("/ndas/{nda_id}", summary="End an NDA")
    async def end_nda(subject: Annotated[Subject, caller], nda_id: _Id) -> Response:
        """Nothing confidential leaves on the strength of it any more. Needs `sign`; twice changes nothing."""
        return _json(await ndas.end(subject, nda_id))

    return router


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=JSON)

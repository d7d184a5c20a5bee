"""Agreements over HTTP. A member sees those that it is a party to; all others are `NotFound`, alike."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status

from gateway.agreements.agreement import Agreement
from gateway.agreements.agreements import Agreements
from gateway.agreements.life import AgreementLife
from gateway.agreements.negotiation import Negotiation
from gateway.agreements.odrl_import import proposal_from_odrl
from gateway.agreements.proof import TamperedAgreement
from gateway.agreements.schemas import LONGEST_BODY, PROPOSAL, SIGNATURE, read_jws
from gateway.agreements.templates import templates
from gateway.agreements.terms import Terms
from gateway.canonical import canonical
from gateway.errors import Invalid, TooLarge
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LARGEST_PAGE = 100
_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_JSON = "application/json"
_JSON_LD = "application/ld+json"
_Id = Annotated[str, Path(pattern=_ID)]


def routes(
    authenticate: Authenticate, agreements: Agreements, life: AgreementLife, negotiation: Negotiation
) -> APIRouter:
    """Everything under `/v1/agreements`."""
    router = APIRouter(prefix="/v1/agreements", tags=["agreements"])
    caller = Depends(authenticate)

    @router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_DRAFT, summary="Draft an agreement")
    async def draft(
        request: Request,
        subject: Annotated[Subject, caller],
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The gateway adds `v`, `alliance` and `agreement` and answers with the text to sign. Needs `draft`.

        As `application/ld+json` an ODRL policy is read; what terms cannot express is refused by name and JSON pointer.
        """
        proposal = await _read(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON_LD:
            proposal = proposal_from_odrl(proposal, alliance=subject.alliance)
        answer = await life.draft(subject, proposal, idempotency_key=idempotency_key)
        return Response(answer, status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("", summary="Your agreements")
    async def list_agreements(
        subject: Annotated[Subject, caller],
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    ) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await agreements.of_member(subject.member, after=after or "", limit=limit + 1)
        page = found[:limit]
        items: list[Any] = [one.describe() for one in page]
        return _json({"items": items, "next": page[-1].id if len(found) > limit else None})

    @router.get("/templates", summary="What an agreement of each kind must say")
    async def list_templates(_: Annotated[Subject, caller]) -> Response:
        """Each with the JSON pointers of its mandatory terms; a draft names one in `template` (clause 2.3.1)."""
        return _json({"items": [one.describe() for one in templates().values()]})

    @router.get("/{agreement_id}", summary="One of your agreements")
    async def show(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """With its text and its signatures."""
        return _described(await agreements.visible(subject.member, agreement_id))

    @router.get("/{agreement_id}/terms", summary="The exact bytes to sign")
    async def terms(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """Canonical JSON (RFC 8785). Sign these bytes as they are."""
        found = _proved(await agreements.visible(subject.member, agreement_id))
        return Response(found.text, media_type=_JSON)

    @router.get("/{agreement_id}/revisions", summary="Every text that was proposed, with its redline")
    async def revisions(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """In order; each with its author and what it changed in the one before, by JSON pointer."""
        return _json({"items": [one.describe() for one in await negotiation.history(subject, agreement_id)]})

    @router.post(
        "/{agreement_id}/revisions",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=_body(PROPOSAL),
        summary="Propose another text of a draft",
    )
    async def revise(
        request: Request,
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        replaces: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        """`replaces` is the `terms_sha256` that you have read. Once one party has signed, no text follows."""
        proposal = await _read(request)
        if not replaces:
            raise Invalid(
                "replaces_missing", "Name the text that you change.", field="replaces", remedy="Send its terms_sha256."
            )
        revised = await negotiation.revise(subject, agreement_id, proposal, replaces=replaces)
        return Response(canonical(revised.describe()), status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/{agreement_id}/archive", summary="What is archived of an agreement, by digests")
    async def archive(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """Every text, every signature, every signed PDF; none is rewritten or removed (clause 2.3.2)."""
        return _json(await negotiation.archive(subject, agreement_id))

    @router.post("/{agreement_id}/signatures", openapi_extra=_body(SIGNATURE), summary="Sign an agreement")
    async def sign(request: Request, subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """A compact JWS over `/terms` with `typ` `agreement+jws` and the key's fingerprint as `kid`. Needs `sign`."""
        jws = read_jws(await _read(request))
        return _described(await life.sign(subject, agreement_id, jws))

    @router.post("/{agreement_id}/termination", summary="Terminate an agreement, or withdraw a draft")
    async def terminate(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """From then on no data leaves under it. Needs `sign`; a second time changes nothing."""
        return _described(await life.terminate(subject, agreement_id))

    return router


async def _read(request: Request) -> bytes:
    """The body of a request, or `TooLarge` as soon as it is."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise TooLarge("body_too_large", f"The body has more than {LONGEST_BODY} bytes.")
    return bytes(body)


def _proved(found: Agreement) -> Terms:
    if found.terms is None:
        raise TamperedAgreement("agreement_tampered")
    return found.terms


def _described(found: Agreement) -> Response:
    return _json(found.describe())


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=_JSON)


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


_DRAFT = {
    "requestBody": {
        "required": True,
        "content": {_JSON: {"schema": PROPOSAL}, _JSON_LD: {"schema": {"type": "object"}}},
    }
}

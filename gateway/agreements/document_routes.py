"""An agreement in other forms over HTTP: to read, as ODRL, as a PDF, and the PDFs that members signed."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.agreements.agreement import Agreement, rfc3339
from gateway.agreements.agreements import Agreements
from gateway.agreements.odrl_export import to_odrl
from gateway.agreements.pages import to_html, to_markdown
from gateway.agreements.pdf.evidence import MOST_BYTES, PdfEvidence
from gateway.agreements.proof import TamperedAgreement
from gateway.agreements.readable import readable
from gateway.agreements.terms import Terms
from gateway.canonical import canonical
from gateway.errors import TooLarge
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_JSON = "application/json"
_JSON_LD = "application/ld+json"
_PDF = "application/pdf"
_NOTHING_ELSE = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}
_Id = Annotated[str, Path(pattern=_ID)]


def routes(authenticate: Authenticate, agreements: Agreements, pdf: PdfEvidence) -> APIRouter:
    """What stands under `/v1/agreements/{id}` for people and for other systems."""
    router = APIRouter(prefix="/v1/agreements", tags=["agreements"])
    caller = Depends(authenticate)

    @router.get("/{agreement_id}/readable", summary="The agreement as people read it")
    async def read_it(
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        lang: str = "zh-CN",
        form: Annotated[str, Query(pattern="^(html|markdown)$")] = "html",
    ) -> Response:
        """In `zh-CN` or `en`, made from the text that is signed; what binds is the text."""
        document = readable(_proved(await agreements.visible(subject.member, agreement_id)), lang)
        if form == "markdown":
            return Response(to_markdown(document), media_type="text/markdown; charset=utf-8")
        return Response(to_html(document), media_type="text/html", headers=_NOTHING_ELSE)

    @router.get("/{agreement_id}/odrl", summary="The agreement as an ODRL policy")
    async def export_odrl(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """JSON-LD (ODRL 2.2 with this gateway's profile), without loss: an Offer, or once signed an Agreement."""
        found = await agreements.visible(subject.member, agreement_id)
        policy = to_odrl(_proved(found), agreed_at=rfc3339(found.signed_at))
        return Response(canonical(policy), media_type=_JSON_LD)

    @router.get("/{agreement_id}/pdf", summary="The agreement as a PDF, to be signed by PAdES")
    async def rendered(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """Both languages, with the bytes of `/terms` embedded. Sign it as an update, without rewriting it."""
        return Response(await pdf.rendered(subject, agreement_id), media_type=_PDF, headers=_NOTHING_ELSE)

    @router.post(
        "/{agreement_id}/pdf",
        status_code=status.HTTP_201_CREATED,
        openapi_extra={
            "requestBody": {"required": True, "content": {_PDF: {"schema": {"type": "string", "format": "binary"}}}}
        },
        summary="Attach the PDF that you signed",
    )
    async def attach(request: Request, subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """Evidence beside your JWS, kept for good. Needs `sign`."""
        kept = await pdf.attach(subject, agreement_id, await _read(request))
        return Response(canonical(kept), status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/{agreement_id}/pdf/{member}", summary="The PDF that a party signed")
    async def signed(subject: Annotated[Subject, caller], agreement_id: _Id, member: _Id) -> Response:
        """As it was attached."""
        found = await pdf.signed_by(subject, agreement_id, member)
        return Response(found, media_type=_PDF, headers=_NOTHING_ELSE)

    return router


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge("body_too_large", f"A signed PDF has at most {MOST_BYTES} bytes.")
    return bytes(body)


def _proved(found: Agreement) -> Terms:
    if found.terms is None:
        raise TamperedAgreement("agreement_tampered")
    return found.terms

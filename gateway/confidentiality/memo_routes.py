"""Memos of what was told, over HTTP; for the two parties of an agreement alone."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response, status

from gateway.canonical import canonical
from gateway.confidentiality.bodies import ANSWER, LONGEST, MEMO, SEARCH
from gateway.confidentiality.filing import Filing
from gateway.confidentiality.memos import Memos
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.database.idempotency import fingerprint
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_Id = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


def routes(authenticate: Authenticate, memos: Memos) -> APIRouter:
    """Everything about memos under `/v1/agreements/{agreement_id}`."""
    router = APIRouter(prefix="/v1/agreements/{agreement_id}", tags=["confidentiality"])
    caller = Depends(authenticate)

    @router.post(
        "/memos",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(MEMO),
        summary="Record what was told orally",
    )
    async def record(
        request: Request,
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """`owner` is the party that told it. The other side answers within the days stated. Needs `confide`."""
        body = await body_of(request, LONGEST)
        said = document_of(body)
        filing = Filing(subject, idempotency_key, fingerprint("POST memos", agreement_id, body))
        answer = await memos.record(filing, agreement_id, said)
        return Response(answer, status.HTTP_201_CREATED, media_type=JSON)

    @router.get("/memos", summary="Memos of what was told orally")
    async def list_memos(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """The newest first, without what was said."""
        return _json({"items": await memos.of_agreement(subject, agreement_id)})

    @router.post("/memo-query", openapi_extra=described_body(SEARCH), summary="Search what was told orally")
    async def search(request: Request, subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """The newest memos that hold `text`. What is looked for travels in the body. Needs `confide`."""
        said = document_of(await body_of(request, LONGEST))
        return _json({"items": await memos.search(subject, agreement_id, said)})

    @router.get("/memos/{memo_id}", summary="One memo")
    async def read(subject: Annotated[Subject, caller], agreement_id: _Id, memo_id: _Id) -> Response:
        """With what was said; an entry in its owner's log comes first. Needs `confide`."""
        return _json(await memos.read(subject, agreement_id, memo_id))

    @router.post("/memos/{memo_id}/answer", openapi_extra=described_body(ANSWER), summary="Confirm or contest a memo")
    async def answer(
        request: Request, subject: Annotated[Subject, caller], agreement_id: _Id, memo_id: _Id
    ) -> Response:
        """By the party that did not record it, once, in time. Needs `confide`."""
        said = document_of(await body_of(request, LONGEST))
        return _json(await memos.answer(subject, agreement_id, memo_id, said))

    return router


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=JSON)

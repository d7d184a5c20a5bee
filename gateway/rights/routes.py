"""Requests of persons over HTTP: opened and answered by the owner, passed on to members, fetched by the person."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from gateway.agreements.fields import IDENTIFIER, matching
from gateway.canonical import canonical
from gateway.catalog.routes import read_object
from gateway.consents.statement import subject_of
from gateway.identity.subject import Subject
from gateway.rights.rights import Rights
from gateway.rights.states import kind_of

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY: Final = 64 * 1024
LONGEST_PAGE: Final = 100
_JSON = "application/json"
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_After = Annotated[str, Query(pattern="^[0-9a-f]{32}$|^$")]
_Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE)]
_OPENED: Final = ("dataset", "subject", "kind", "text", "profile", "behalf", "language")
_GRANTED: Final = ("text", "upload", "upheld", "checks")
_IDENTITY: Final = ("method", "staff", "evidence_sha256")
_USUAL: Final = {"profile": "cn", "behalf": "self", "language": "zh-CN"}
_DOWNLOAD: Final = {
    "Cache-Control": "no-store",
    "Content-Disposition": 'attachment; filename="export.zip"',
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(authenticate_withdrawing: Authenticate, rights: Rights) -> APIRouter:
    """Everything under `/v1/rights`. All of it is there for suspended members, who owe answers too."""
    router = APIRouter(prefix="/v1/rights", tags=["rights of persons"])
    caller = Depends(authenticate_withdrawing)

    @router.post(
        "", status_code=status.HTTP_201_CREATED, summary="Open a request for a person", openapi_extra=_body(_OPENED)
    )
    async def open_one(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """One that came to you by letter or at a counter. `kind`, `dataset`, `subject`, `text`; needs `withdraw`.

        `profile` is `cn` where it is left out, `behalf` is `self`, `language` is `zh-CN`.
        """
        body = await read_object(request, _OPENED, longest=LONGEST_BODY)
        dataset = matching(body.get("dataset"), "/dataset", IDENTIFIER)
        asked = {
            "kind": kind_of(body.get("kind")),
            "subject": subject_of(body),
            "text": body.get("text"),
            **{name: body.get(name, usual) for name, usual in _USUAL.items()},
        }
        found = await rights.requests.open_for(subject, dataset, asked)
        return _told({"id": found}, status.HTTP_201_CREATED)

    @router.get("", summary="Requests to you")
    async def page(subject: Annotated[Subject, caller], after: _After = "", limit: _Limit = 20) -> Response:
        """By id, without what was asked; `next`, if not null, is the `after` of the next page."""
        found = await rights.requests.page(subject, after=after, limit=limit)
        following = found[-1].id if len(found) == limit else None
        return _told({"items": [one.describe() for one in found], "next": following})

    @router.get("/tasks", summary="What you are asked because you received something")
    async def tasks(subject: Annotated[Subject, caller], after: _After = "", limit: _Limit = 20) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await rights.tasks.page(subject, after=after, limit=limit)
        following = found[-1]["id"] if len(found) == limit else None
        return _told({"items": list(found), "next": following})

    @router.get("/tasks/{task_id}", summary="One of them")
    async def task(subject: Annotated[Subject, caller], task_id: _Id) -> Response:
        """With the consents and the records, by their ids, that it is about."""
        return _told(await rights.tasks.show(subject, task_id))

    @router.post("/tasks/{task_id}/answer", summary="Say what you did", openapi_extra=_body(("outcome", "text")))
    async def answer_task(request: Request, subject: Annotated[Subject, caller], task_id: _Id) -> Response:
        """`outcome` and `text`, once. Needs `withdraw`."""
        body = await read_object(request, ("outcome", "text"), longest=LONGEST_BODY)
        return _told(await rights.tasks.answer(subject, task_id, body.get("outcome"), body.get("text")))

    @router.get("/{request_id}", summary="One request with what was asked")
    async def read(subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """Reading it is an entry first. Needs `withdraw`."""
        return _told(await rights.requests.read(subject, request_id))

    @router.post("/{request_id}/identity", summary="State how it was shown who asks", openapi_extra=_body(_IDENTITY))
    async def identify(request: Request, subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """`method`, `staff`, and `evidence_sha256` where somebody asks for another. Needs `withdraw`."""
        body = await read_object(request, _IDENTITY, longest=LONGEST_BODY)
        return _told((await rights.answering.identify(subject, request_id, body)).describe())

    @router.post("/{request_id}/extension", summary="Take longer, once", openapi_extra=_body(("reason",)))
    async def extend(request: Request, subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """Where the profile allows it; `reason` is `complex` or `many`. Needs `withdraw`."""
        body = await read_object(request, ("reason",), longest=LONGEST_BODY)
        return _told((await rights.answering.extend(subject, request_id, body.get("reason"))).describe())

    @router.post("/{request_id}/answer", summary="Grant a request", openapi_extra=_body(_GRANTED))
    async def grant(request: Request, subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """What was asked for happens with the answer. `text`; `upload` of a correction, `upheld` of an objection,
        the four `checks` of a transfer. Needs `withdraw`.
        """
        body = await read_object(request, _GRANTED, longest=LONGEST_BODY)
        return _told((await rights.answering.grant(subject, request_id, body)).describe())

    @router.post("/{request_id}/refusal", summary="Refuse a request", openapi_extra=_body(("reasons", "text")))
    async def refuse(request: Request, subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """`reasons` and `text`; the person also reads where to complain and to sue. Needs `withdraw`."""
        body = await read_object(request, ("reasons", "text"), longest=LONGEST_BODY)
        return _told((await rights.answering.refuse(subject, request_id, body)).describe())

    @router.post("/{request_id}/retraction", summary="Take back what was asked by letter or at a counter")
    async def retract(subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """By the person's word. What a restriction held stands again. Needs `withdraw`."""
        return _told((await rights.retracting.retract_for(subject, request_id)).describe())

    @router.post("/{request_id}/export", status_code=status.HTTP_201_CREATED, summary="A link to the export")
    async def link(subject: Annotated[Subject, caller], request_id: _Id) -> Response:
        """For a granted access, copy or transfer; three days, five fetches. Needs `withdraw`."""
        return _told(await rights.exporting.link(subject, request_id), status.HTTP_201_CREATED)

    @router.get("/exports/{token}", summary="What is behind a link", response_class=Response)
    async def fetch(token: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{43}$")]) -> Response:
        """A ZIP of JSON, HTML, notices and receipts. Whoever has the link needs nothing else."""
        content = await rights.exporting.fetch(token)
        return Response(content, media_type="application/zip", headers=_DOWNLOAD)

    return router


def _told(value: Any, code: int = status.HTTP_200_OK) -> Response:
    return Response(canonical(value), code, media_type=_JSON)


def _body(names: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, "properties": {name: {} for name in names}}
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}

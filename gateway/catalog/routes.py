"""Datasets and uploads over HTTP. A member sees its own; all others are `NotFound`, alike."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status
from starlette.requests import ClientDisconnect

from gateway.canonical import parse
from gateway.catalog.datasets import LONGEST_PAGE, Datasets, described
from gateway.catalog.uploads import Upload, Uploads
from gateway.errors import Invalid, TooLarge
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_DECLARATION = 256 * 1024
_JSON = "application/json"
_CHARSETS = ("charset=utf-8", "charset=utf8", "charset=us-ascii")
"""UTF-8 by its names, and what is UTF-8 too."""
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_DECLARATION = {
    "type": "object",
    "required": ["name", "schema"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "schema": {"type": "object"}},
}


def routes(authenticate: Authenticate, datasets: Datasets, uploads: Uploads) -> APIRouter:
    """Everything under `/v1/datasets` that its owner does, but for consents."""
    router = APIRouter(prefix="/v1/datasets", tags=["catalogue"])
    caller = Depends(authenticate)

    @router.post(
        "",
        status_code=status.HTTP_201_CREATED,
        summary="Declare a dataset",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _DECLARATION}}}},
    )
    async def declare(
        request: Request,
        subject: Annotated[Subject, caller],
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """`schema` is a JSON Schema whose properties have `x-class` and `x-grade`. Needs `upload`."""
        body = await read_object(request, ("name", "schema"), longest=LONGEST_DECLARATION)
        name, schema = body.get("name"), body.get("schema")
        if not isinstance(name, str):
            raise Invalid("invalid_body", "A dataset has a name.", field="/name")
        if not isinstance(schema, dict):
            raise Invalid("invalid_body", "A dataset has a JSON Schema.", field="/schema")
        answer = await datasets.declare(subject, name, schema, key=idempotency_key)
        return Response(answer, status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("", summary="Your datasets")
    async def list_datasets(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern="^[0-9a-f]{32}$|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 20,
    ) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        page = await datasets.page(subject, after=after, limit=limit)
        items = [orjson.Fragment(described(one)) for one in page]
        following = page[-1].id if len(page) == limit else None
        return Response(orjson.dumps({"items": items, "next": following}), media_type=_JSON)

    @router.get("/{dataset_id}", summary="One of your datasets")
    async def show(subject: Annotated[Subject, caller], dataset_id: _Id) -> Response:
        """With its schema in canonical form."""
        return Response(described(await datasets.owned(subject, dataset_id)), media_type=_JSON)

    @router.post(
        "/{dataset_id}/uploads",
        status_code=status.HTTP_201_CREATED,
        summary="Upload rows as CSV or NDJSON",
        openapi_extra={
            "requestBody": {"required": True, "content": {"text/csv": {}, "application/x-ndjson": {}}},
        },
    )
    async def upload(
        request: Request,
        subject: Annotated[Subject, caller],
        dataset_id: _Id,
        mode: Literal["append", "replace"] = "append",
        all_or_nothing: bool = False,
        delimiter: Annotated[str | None, Query(max_length=3)] = None,
        null: Annotated[str | None, Query(min_length=1, max_length=16)] = None,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The body is streamed. The answer counts rows and says line by line what was refused and why.

        `delimiter`: comma, semicolon or tab (or its name), else found in the header. `null`: a text that stands for
        null in CSV besides the empty cell. Needs `upload`.
        """
        asked = Upload(
            dataset_id=dataset_id,
            media_type=_media_type(request.headers.get("content-type", "")),
            mode=mode,
            all_or_nothing=all_or_nothing,
            delimiter="\t" if delimiter == "tab" else delimiter,
            null=null,
            key=idempotency_key,
        )
        answer = await uploads.receive(subject, asked, _streamed(request))
        return Response(answer, status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/{dataset_id}/uploads/{upload_id}", summary="The report of an upload")
    async def report(subject: Annotated[Subject, caller], dataset_id: _Id, upload_id: _Id) -> Response:
        """Without a value of any row."""
        return Response(await uploads.report(subject, dataset_id, upload_id), media_type=_JSON)

    return router


async def read_object(request: Request, known: tuple[str, ...], *, longest: int) -> Mapping[str, Any]:
    """The body as a JSON object with `known` members alone; `Invalid` or `TooLarge` otherwise."""
    body = parse(await read_body(request, longest))
    if not isinstance(body, dict):
        raise Invalid("invalid_body", "The body is a JSON object.", field="/")
    for name in body:
        if name not in known:
            raise Invalid("unknown_field", "The body has no such member.", field=f"/{name[:64]}")
    return body


async def read_body(request: Request, longest: int) -> bytes:
    """The body, or `TooLarge` as soon as it is."""
    body = bytearray()
    async for piece in _streamed(request):
        body += piece
        if len(body) > longest:
            raise TooLarge("body_too_large", f"The body has more than {longest} bytes.", field="/")
    return bytes(body)


def _media_type(header: str) -> str:
    """What an upload is declared to be; `Invalid` for another charset than UTF-8 (RFC 7111 section 5.1).

    Many a text in GB18030 is valid UTF-8 by chance, and would be stored as other characters.
    """
    kind, *parameters = [part.strip().lower() for part in header.split(";")]
    if any(one.startswith("charset") and one.replace('"', "") not in _CHARSETS for one in parameters):
        raise Invalid(
            "unsupported_charset",
            "An upload is UTF-8.",
            field="Content-Type",
            remedy="Convert the file to UTF-8, and send charset=utf-8 or none.",
        )
    return kind


async def _streamed(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise Invalid("interrupted", "The client went away before the body ended.", field="body") from None

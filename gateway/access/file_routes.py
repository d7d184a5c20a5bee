"""A selection as a file, with the manifest that makes it verifiable: one `multipart/mixed` answer of two parts.

RFC 2046: the first part is the file as it is, the second its manifest. An answer without its second part was cut off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.access.files import File, Files
from gateway.access.formats import FORMATS
from gateway.access.message_signing import MessageSigning
from gateway.access.refusal import ClientChanged
from gateway.access.request import AccessRequest
from gateway.access.routes import Filters, Name, body_of, described, identifier, purpose_of
from gateway.access.signed_routes import refused
from gateway.catalog.declaration import MOST_FIELDS
from gateway.errors import GatewayError, NotAuthenticated
from gateway.identity import SignedRequest, Subject

Authenticate = Callable[[Request], Awaitable[Subject]]


class FileQuery(BaseModel):
    """A whole selection. `cursor` goes on where another file, or a page of the same query, ended."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["csv", "ndjson"]
    purpose: Name | None = None
    fields: list[Name] = Field(default_factory=list, max_length=MOST_FIELDS)
    filters: Filters = Field(default_factory=dict)
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None


def routes(
    files: Files,
    authenticate: Authenticate,
    client_changed: Callable[[Subject], NotAuthenticated],
    signing: MessageSigning,
) -> APIRouter:
    """`POST .../files`. The method is `file`, and the agreement names it, or the first page is refused."""
    router = APIRouter(prefix="/v1/agreements/{agreement}/datasets/{dataset}/files", tags=["reads"])

    @router.post("", summary="Read a whole selection as a file", openapi_extra=described(FileQuery))
    async def read_file(request: Request) -> Response:
        """The file, then its manifest, as `multipart/mixed`. Each page of 100 counts as one read.

        Nobody knows a file's digest before its end, so the manifest is signed, and of other answers the message.
        """
        subject = await authenticate(request)
        signed = await signing.verify(request, subject)
        try:
            file = await begun(request, subject, signed)
        except GatewayError as error:
            if signed is None:
                raise
            return await refused(signing, subject, signed, error)
        headers = {"Cache-Control": "no-store", "Gateway-File-Id": file.id}
        return StreamingResponse(_parts(file), 200, headers, f"multipart/mixed; boundary={file.id}")

    async def begun(request: Request, subject: Subject, signed: SignedRequest | None) -> File:
        query = await body_of(request, FileQuery)
        try:
            return await files.begin(_wish(request, subject, query, signed), FORMATS[query.format])
        except ClientChanged:
            raise client_changed(subject) from None

    return router


def _wish(request: Request, subject: Subject, query: FileQuery, signed: SignedRequest | None) -> AccessRequest:
    return AccessRequest(
        subject=subject,
        agreement=identifier(request, "agreement"),
        dataset=identifier(request, "dataset"),
        purpose=purpose_of(query.purpose, subject, request),
        method="file",
        fields=tuple(dict.fromkeys(query.fields)),
        filters=query.filters,
        cursor=query.cursor,
        signed=signed,
    )


async def _parts(file: File) -> AsyncIterator[bytes]:
    boundary = file.id.encode()
    yield b"--%b\r\nContent-Type: %b\r\n\r\n" % (boundary, file.form.media_type.encode())
    async for piece in file.pieces():
        yield piece
    yield b"\r\n--%b\r\nContent-Type: application/json\r\n\r\n" % boundary
    yield orjson.dumps(await file.manifest())
    yield b"\r\n--%b--\r\n" % boundary

"""Reads under an agreement: a page, one record, a filtered page. All of them are one `release`."""

from __future__ import annotations

import re
from binascii import hexlify
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.abreast import abreast
from gateway.access.enforcement import EnforcementPoint
from gateway.access.message_signing import MessageSigning
from gateway.access.refusal import ClientChanged
from gateway.access.release import Release
from gateway.access.request import MOST_RECORDS, AccessRequest
from gateway.access.signed_routes import answered, refused
from gateway.canonical import canonical, parse
from gateway.catalog.declaration import MOST_FIELDS
from gateway.errors import GatewayError, Invalid, NotAuthenticated, NotFound
from gateway.identifiers import PURPOSE_PATTERN
from gateway.identity import SignedRequest, Subject
from gateway.parameters import parameters

Authenticate = Callable[[Request], Awaitable[Subject]]
Wish = Callable[[Request, Subject], Awaitable[AccessRequest]]
"""Reads from a request what is asked; `GatewayError` says what is wrong with it."""

MOST_FILTERED = 1024
"""Bytes of the filters as JSON. They stand sealed in the entry, which has room for them whatever is found."""
_LONGEST_LIMIT = len(str(MOST_RECORDS))
_ID_LENGTH = 32
_HEXADECIMAL = frozenset("0123456789abcdef")
_PAGE_PARAMETERS = frozenset({"purpose", "fields", "limit", "cursor"})
_RECORD_PARAMETERS = frozenset({"purpose", "fields"})
_NONE: frozenset[str] = frozenset()
_JSON = "application/json"

Query = TypeVar("Query", bound=BaseModel)
Name = Annotated[str, StringConstraints(pattern=f"^{PURPOSE_PATTERN}$")]
_is_name = re.compile(PURPOSE_PATTERN).fullmatch


def _fitting(filters: dict[str, str]) -> dict[str, str]:
    """Refuse what is too long before anything is judged: a refusal after the search would tell what it found."""
    if len(canonical(filters)) > MOST_FILTERED:
        raise Invalid(
            "filters_too_long",
            f"The filters exceed {MOST_FILTERED} bytes.",
            field="/filters",
            remedy="Filter on fewer fields, or on shorter values.",
        )
    return filters


Filters = Annotated[
    dict[Name, Annotated[str, StringConstraints(max_length=MOST_FILTERED)]],
    Field(max_length=4),
    AfterValidator(_fitting),
]


class RecordQuery(BaseModel):
    """A filtered page. Filter values travel here, in the body, and stand sealed in the ledger's entry."""

    model_config = ConfigDict(extra="forbid", strict=True)

    purpose: Name | None = None
    fields: list[Name] = Field(default_factory=list, max_length=MOST_FIELDS)
    filters: Filters
    limit: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = MOST_RECORDS
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None


def routes(
    enforcement: EnforcementPoint,
    authenticate: Authenticate,
    client_changed: Callable[[Subject], NotAuthenticated],
    signing: MessageSigning,
) -> APIRouter:
    """The read routes. `client_changed` gives the 401 for a client that was revoked after its token was issued."""

    async def respond(request: Request, wish: Wish) -> Response:
        subject = await authenticate(request)
        await abreast()
        signed = await signing.verify(request, subject)
        if signed is not None:
            return await respond_signed(request, subject, signed, wish)
        return _answer(await release(await wish(request, subject)))

    async def respond_signed(request: Request, subject: Subject, signed: SignedRequest, wish: Wish) -> Response:
        try:
            released = await release((await wish(request, subject))._replace(signed=signed))
        except GatewayError as error:
            return await refused(signing, subject, signed, error)
        return await answered(signing, subject, signed, _answer(released), released.recorded)

    async def release(wish: AccessRequest) -> Release:
        try:
            return await enforcement.release(wish)
        except ClientChanged:
            raise client_changed(wish.subject) from None

    router = APIRouter(prefix="/v1/agreements/{agreement}/datasets/{dataset}/records", tags=["reads"])

    @router.get("", summary="Read a page", openapi_extra=_parameters(_PAGE_PARAMETERS), response_class=Response)
    async def read_page(request: Request) -> Response:
        """Records by id, at most `limit`, fewer where a long one follows, which comes in a page of its own.

        `next` is the cursor of the following page; null, and nothing else, says that this is the last one.
        """
        return await respond(request, _page)

    @router.get(
        "/{record}",
        summary="Read one",
        openapi_extra=_parameters(_RECORD_PARAMETERS, "record"),
        response_class=Response,
    )
    async def read_one(request: Request) -> Response:
        """One record by its id."""
        return await respond(request, _one)

    @router.post(
        "/query", summary="Read a filtered page", openapi_extra=described(RecordQuery), response_class=Response
    )
    async def read_filtered(request: Request) -> Response:
        """Records whose fields equal the filters: granted fields only, and consented in that row. Else as a page."""
        return await respond(request, _filtered)

    return router


async def _page(request: Request, subject: Subject) -> AccessRequest:
    asked = parameters(request, _PAGE_PARAMETERS)
    return AccessRequest(
        subject=subject,
        agreement=identifier(request, "agreement"),
        dataset=identifier(request, "dataset"),
        purpose=purpose_of(asked.get("purpose"), subject, request),
        fields=_fields(asked.get("fields")),
        limit=_limit(asked.get("limit")),
        cursor=asked.get("cursor"),
    )


async def _one(request: Request, subject: Subject) -> AccessRequest:
    asked = parameters(request, _RECORD_PARAMETERS)
    return AccessRequest(
        subject=subject,
        agreement=identifier(request, "agreement"),
        dataset=identifier(request, "dataset"),
        record=identifier(request, "record"),
        purpose=purpose_of(asked.get("purpose"), subject, request),
        fields=_fields(asked.get("fields")),
        limit=1,
    )


async def _filtered(request: Request, subject: Subject) -> AccessRequest:
    query = await body_of(request, RecordQuery)
    return AccessRequest(
        subject=subject,
        agreement=identifier(request, "agreement"),
        dataset=identifier(request, "dataset"),
        purpose=purpose_of(query.purpose, subject, request),
        fields=tuple(dict.fromkeys(query.fields)),
        filters=query.filters,
        limit=query.limit,
        cursor=query.cursor,
    )


def _answer(release: Release) -> Response:
    """Prebuilt bytes: the vault's JSON fragments joined, with the entry's id, its receipt and what comes with them."""
    records = b",".join([b'{"id":"%b","fields":%b}' % (hexlify(name), fields) for name, fields in release.records])
    beside = {"event_id": release.recorded.event_id, "next": release.cursor, "receipt": release.receipt}
    tail = orjson.dumps({**beside, **release.accompanied})
    headers = {"Cache-Control": "no-store", "Gateway-Event-Id": release.recorded.event_id}
    return Response(b'{"records":[' + records + b"]," + tail[1:], 200, headers, _JSON)


async def body_of(request: Request, model: type[Query]) -> Query:
    """The body, parsed strictly; `Invalid` names the first member that is wrong, or a parameter beside the body."""
    parameters(request, _NONE)
    try:
        return model.model_validate(parse(await request.body()))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = "/" + "/".join(str(part)[:64] for part in first["loc"])
        raise Invalid("invalid_query", str(first["msg"]), field=field) from None


def identifier(request: Request, name: str) -> str:
    """A path part that may name something; what cannot is simply not there."""
    value: str = request.path_params[name]
    if len(value) != _ID_LENGTH or not _HEXADECIMAL.issuperset(value):
        raise NotFound
    return value


def purpose_of(asked: str | None, subject: Subject, request: Request) -> str:
    """The purpose asked for, else the only one that the token grants for this agreement."""
    if asked is not None:
        return asked if _is_name(asked) else _no_purpose("Not the form of a purpose.")
    agreement = request.path_params["agreement"]
    granted = {p for grant in subject.agreements if grant.agreement == agreement for p in grant.purposes}
    return granted.pop() if len(granted) == 1 else _no_purpose("The token does not settle the purpose.")


def _no_purpose(detail: str) -> str:
    raise Invalid("purpose_required", detail, field="purpose", remedy="Name one purpose of the agreement.")


def _fields(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(dict.fromkeys(text.split(",")))
    if len(names) > MOST_FIELDS or not all(_is_name(name) for name in names):
        raise Invalid(
            "invalid_fields",
            f"Not a comma-separated list of at most {MOST_FIELDS} field names.",
            field="fields",
            remedy="Name fields of the agreement, or leave the parameter out.",
        )
    return names


def _limit(text: str | None) -> int:
    if text is None:
        return MOST_RECORDS
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_LIMIT and 1 <= int(text) <= MOST_RECORDS):
        raise Invalid("invalid_limit", f"Not a number from 1 to {MOST_RECORDS}.", field="limit")
    return int(text)


def described(model: type[BaseModel]) -> dict[str, Any]:
    """A body below agreement and dataset, for OpenAPI: it is parsed by hand so that ambiguous JSON is refused."""
    body = {"required": True, "content": {_JSON: {"schema": model.model_json_schema()}}}
    return {"requestBody": body, **_parameters(_NONE)}


def _parameters(names: frozenset[str], *more_parts: str) -> dict[str, Any]:
    """The parameters, for OpenAPI: they are parsed by hand so that unknown ones are refused."""
    text = {"type": "string"}
    identifier = {**text, "pattern": f"^[0-9a-f]{{{_ID_LENGTH}}}$"}
    parts = ("agreement", "dataset", *more_parts)
    return {
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": identifier} for name in parts),
            *({"name": name, "in": "query", "required": False, "schema": text} for name in sorted(names)),
        ]
    }

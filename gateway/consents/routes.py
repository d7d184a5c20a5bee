"""Consents over HTTP: recorded and withdrawn by the dataset's owner alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response, status

from gateway.canonical import canonical, parse
from gateway.catalog.routes import read_body, read_object
from gateway.consents.consents import Consents
from gateway.consents.statement import purpose_of, recipient_of, subject_of
from gateway.database.idempotency import fingerprint
from gateway.errors import Invalid
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY = 4 << 20
LONGEST_WITHDRAWAL = 16 * 1024
_PARSED_AT_ONCE = 64 * 1024  # longer bodies would hold up the event loop
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_WITHDRAWAL: dict[str, Any] = {
    "type": "object",
    "required": ["subject"],
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("subject", "recipient", "purpose")},
}
_MERGE: dict[str, Any] = {
    "type": "object",
    "required": ["subject", "duplicate"],
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in ("subject", "duplicate")},
}
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def routes(authenticate: Authenticate, authenticate_withdrawing: Authenticate, consents: Consents) -> APIRouter:
    """Recording, withdrawing and looking up. Whoever is `withdrawing` may be of a suspended member."""
    router = APIRouter(prefix="/v1", tags=["consents"])
    caller, withdrawing = Depends(authenticate), Depends(authenticate_withdrawing)

    @router.post(
        "/datasets/{dataset_id}/consents",
        status_code=status.HTTP_201_CREATED,
        summary="Record consents",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {}, _NDJSON: {}}}},
    )
    async def record(
        request: Request,
        subject: Annotated[Subject, caller],
        dataset_id: _Id,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """One object, a list, or NDJSON, up to 10,000; answered in order. Needs `consent`.

        Each: `subject` (the value of the dataset's subject field), `recipient` (a member), `purpose`, `fields`,
        `given_at`, `expires_at` (one year after, where left out; at most three), `evidence_sha256`, `notice_sha256` (of
        a published notice that names all of this). `channels` in place of `fields` permit contact. Optional:
        `max_uses`, `language`, `age_band` with `turns_14_at` and `guardian`.
        """
        body = await read_body(request, LONGEST_BODY)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in (_JSON, _NDJSON):
            raise Invalid("unsupported_media_type", "Consents are JSON or NDJSON.", field="Content-Type")
        given_in = _lines if media_type == _NDJSON else _items
        given = given_in(body) if len(body) <= _PARSED_AT_ONCE else await asyncio.to_thread(given_in, body)
        mark = fingerprint("POST consents", dataset_id, media_type, body)
        answer = await consents.recording.record(subject, dataset_id, given, key=idempotency_key, fingerprint=mark)
        return Response(answer, status.HTTP_201_CREATED, media_type=_JSON)

    @router.get("/consents/{consent_id}", summary="One consent")
    async def show(subject: Annotated[Subject, caller], consent_id: _Id) -> Response:
        """Your own: with its state at this instant and its events; without the person."""
        return _json(await consents.showing.one(subject, consent_id))

    @router.get("/consents/{consent_id}/receipts", summary="The receipts of a consent")
    async def receipts(subject: Annotated[Subject, caller], consent_id: _Id) -> Response:
        """The customer's copies, for the data's owner to hand out. A recipient gets its own copy of what stands."""
        return _json({"receipts": await consents.showing.receipts(subject, consent_id)})

    @router.post("/consents/{consent_id}/withdrawal", summary="Withdraw one consent")
    async def withdraw(subject: Annotated[Subject, withdrawing], consent_id: _Id) -> Response:
        """No permit follows it in the ledger. Needs `withdraw`; a second time changes nothing."""
        await consents.withdrawing.one(subject, consent_id)
        return _json(await consents.showing.one(subject, consent_id))

    @router.post(
        "/datasets/{dataset_id}/withdrawals",
        summary="Withdraw a person's consents",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _WITHDRAWAL}}}},
    )
    async def withdraw_matching(
        request: Request, subject: Annotated[Subject, withdrawing], dataset_id: _Id
    ) -> Response:
        """`subject`, and `recipient` or `purpose` to withdraw less than everything. Needs `withdraw`."""
        body = await read_object(request, tuple(_WITHDRAWAL["properties"]), longest=LONGEST_WITHDRAWAL)
        answer = await consents.withdrawing.matching(
            subject,
            dataset_id,
            person=subject_of(body),
            recipient=recipient_of(body) if "recipient" in body else "",
            purpose=purpose_of(body) if "purpose" in body else "",
        )
        return Response(answer, media_type=_JSON)

    @router.post(
        "/datasets/{dataset_id}/merges",
        summary="Merge two subjects that are one person",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _MERGE}}}},
    )
    async def merge(request: Request, subject: Annotated[Subject, withdrawing], dataset_id: _Id) -> Response:
        """What the person withdrew or refused as the one no longer stands as the other. Needs `withdraw`."""
        person, duplicate = await _two(request)
        answer = await consents.merging.merge(subject, dataset_id, person=person, duplicate=duplicate)
        return Response(answer, media_type=_JSON)

    @router.post(
        "/datasets/{dataset_id}/separations",
        status_code=status.HTTP_204_NO_CONTENT,
        summary="Separate two subjects that were merged by mistake",
        openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _MERGE}}}},
    )
    async def separate(request: Request, subject: Annotated[Subject, withdrawing], dataset_id: _Id) -> Response:
        """Each decides for itself alone from now on; what ended stays ended. Needs `withdraw`."""
        person, duplicate = await _two(request)
        await consents.merging.separate(subject, dataset_id, person=person, duplicate=duplicate)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router


async def _two(request: Request) -> tuple[str, str]:
    body = await read_object(request, tuple(_MERGE["properties"]), longest=LONGEST_WITHDRAWAL)
    return subject_of(body), subject_of(body, name="duplicate")


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=_JSON)


def _items(body: bytes) -> list[Any]:
    parsed = parse(body)
    return parsed if isinstance(parsed, list) else [parsed]


def _lines(body: bytes) -> list[Any]:
    return [_line(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]


def _line(number: int, line: bytes) -> object:
    try:
        return parse(line)
    except Invalid as error:
        raise Invalid(error.code, "The line is not one JSON object.", field=f"line {number}") from error

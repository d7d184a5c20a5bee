"""Cases over HTTP. A member sees those that it is a party to; all others are `NotFound`, alike."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status

from gateway.agreements import HoldSubject
from gateway.agreements.fields import IDENTIFIER
from gateway.canonical import canonical
from gateway.cases.casework import Casework
from gateway.cases.opening import LONGEST_CLAIM, LONGEST_NAME, MOST_EVIDENCE, Exhibit
from gateway.catalog.routes import read_object
from gateway.database.idempotency import fingerprint
from gateway.errors import Invalid
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY = 32 * 1024
LARGEST_PAGE = 100
_JSON = "application/json"
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_EVIDENCE: dict[str, Any] = {
    "type": "array",
    "maxItems": MOST_EVIDENCE,
    "items": {
        "type": "object",
        "required": ["name", "sha256"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "maxLength": LONGEST_NAME},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
    },
}
_SUBJECT: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "id"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": [kind.value for kind in HoldSubject if kind is not HoldSubject.RECIPIENT_OF_OWNER]},
        "id": {"type": "string"},
    },
}
_OPENING: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "agreement", "claim"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": ["dispute", "leak"]},
        "agreement": {"type": "string"},
        "claim": {"type": "string", "maxLength": LONGEST_CLAIM},
        "subject": _SUBJECT,
        "respondent": {"type": "string"},
        "evidence": _EVIDENCE,
    },
}
_ADDING: dict[str, Any] = {
    "type": "object",
    "required": ["evidence"],
    "additionalProperties": False,
    "properties": {"evidence": _EVIDENCE},
}


def routes(authenticate: Authenticate, casework: Casework) -> APIRouter:
    """Everything under `/v1/cases`."""
    cases, disputes, incidents = casework.cases, casework.disputes, casework.incidents
    router = APIRouter(prefix="/v1/cases", tags=["cases"])
    caller = Depends(authenticate)

    async def described(subject: Subject, case_id: str, code: int = status.HTTP_200_OK) -> Response:
        view = await cases.visible(subject.member, case_id)
        return Response(canonical(view.describe()), code, media_type=_JSON)

    @router.post(
        "",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=_body(_OPENING),
        summary="Dispute something, or report a leak",
    )
    async def open_case(
        request: Request,
        subject: Annotated[Subject, caller],
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """A `dispute` names its `subject` (clause 7.2.1), which alone is frozen; for `term`, `id` is the dataset.

        A `leak` (9.1.2) names the `respondent`, by default the recipient, and at least one piece of `evidence`; its
        access to your data is held for a limited time. Evidence stays with you: its SHA-256 is kept. Needs `sign`.
        """
        body = await read_object(request, tuple(_OPENING["properties"]), longest=LONGEST_BODY)
        agreement, claim = _name(body, "agreement"), _text(body, "claim")
        exhibits = _exhibits(body.get("evidence", []))
        once: Any = {"key": idempotency_key, "fingerprint": fingerprint("POST cases", canonical(dict(body)))}
        if _text(body, "kind") == "leak":
            _none_of(body, "subject")
            respondent = _name(body, "respondent") if "respondent" in body else ""
            case_id = await incidents.report_leak(
                subject, agreement, respondent, claim=claim, evidence=exhibits, **once
            )
        elif body["kind"] == "dispute":
            _none_of(body, "respondent")
            about, of = _subject(body.get("subject"))
            case_id = await disputes.open(subject, agreement, about, of, claim=claim, evidence=exhibits, **once)
        else:
            raise Invalid("case_kind_unknown", "A party opens a dispute, or reports a leak.", field="/kind")
        return await described(subject, case_id, status.HTTP_201_CREATED)

    @router.get("", summary="Your cases")
    async def list_cases(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern="^[0-9a-f]{32}$|^$")] = "",
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    ) -> Response:
        """By id; `next`, if not null, is the `after` of the next page."""
        found = await cases.of_member(subject.member, after=after, limit=limit + 1)
        items = [one.describe() for one in found[:limit]]
        following = found[limit - 1].id if len(found) > limit else None
        return Response(canonical({"items": items, "next": following}), media_type=_JSON)

    @router.get("/{case_id}", summary="One of your cases")
    async def show(subject: Annotated[Subject, caller], case_id: _Id) -> Response:
        """With its evidence, and the holds that were placed for it."""
        return await described(subject, case_id)

    @router.post("/{case_id}/evidence", openapi_extra=_body(_ADDING), summary="Add evidence to a case")
    async def add(request: Request, subject: Annotated[Subject, caller], case_id: _Id) -> Response:
        """Each piece by its name and SHA-256. What was added is never removed. Needs `sign`."""
        body = await read_object(request, ("evidence",), longest=LONGEST_BODY)
        exhibits = _exhibits(body.get("evidence", []))
        if not exhibits:
            raise Invalid("evidence_missing", "Name at least one piece.", field="/evidence")
        await disputes.add(subject, case_id, exhibits)
        return await described(subject, case_id)

    @router.post("/{case_id}/escalation", summary="Take a dispute to the agreed forum")
    async def escalate(subject: Annotated[Subject, caller], case_id: _Id) -> Response:
        """Once the agreed time to negotiate is over (clause 7.2.2). Needs `sign`."""
        await disputes.escalate(subject, case_id)
        return await described(subject, case_id)

    return router


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Invalid("invalid_body", "This must be a string.", field=f"/{name}")
    return value


def _name(body: Mapping[str, Any], name: str) -> str:
    value = _text(body, name)
    if not re.fullmatch(IDENTIFIER, value):
        raise Invalid("invalid_body", "An id has a form that is not allowed.", field=f"/{name}")
    return value


def _none_of(body: Mapping[str, Any], name: str) -> None:
    if name in body:
        raise Invalid("unknown_field", "This kind of case has no such member.", field=f"/{name}")


def _subject(value: Any) -> tuple[HoldSubject, str]:
    if not isinstance(value, dict) or value.keys() != {"kind", "id"}:
        raise Invalid("subject_malformed", "A dispute names its subject: kind and id.", field="/subject")
    kind, of = _text(value, "kind"), _text(value, "id")
    if kind not in _SUBJECT["properties"]["kind"]["enum"]:
        raise Invalid("subject_kind_unknown", "This kind of subject is not known.", field="/subject/kind")
    return HoldSubject(kind), of


def _exhibits(value: Any) -> Sequence[Exhibit]:
    if not isinstance(value, list) or len(value) > MOST_EVIDENCE:
        raise Invalid("evidence_malformed", f"Evidence is a list of at most {MOST_EVIDENCE}.", field="/evidence")
    return [Exhibit.read(one, f"/evidence/{place}") for place, one in enumerate(value)]


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}

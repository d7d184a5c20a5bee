"""What the parties of an agreement file beside its terms, over HTTP. All but those with a part in it see nothing."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response, status

from gateway.agreements.schemas import read_jws
from gateway.canonical import canonical
from gateway.confidentiality.bodies import ASSESSMENT, LISTING, LONGEST, RELEASE, STATEMENT, TRANSFER
from gateway.confidentiality.confidentiality import Confidentiality
from gateway.confidentiality.filing import Filing
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.database.idempotency import fingerprint
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_Id = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_Key = Annotated[str | None, Header()]
_DATASET = "/{agreement_id}/datasets/{dataset_id}"


def routes(authenticate: Authenticate, confidentiality: Confidentiality) -> APIRouter:
    """What hangs on one dataset under an agreement, and the owner's grants and releases."""
    router = APIRouter(prefix="/v1/agreements", tags=["confidentiality"])
    _add_participation(router, authenticate, confidentiality)
    _add_roster(router, authenticate, confidentiality)
    _add_assessments(router, authenticate, confidentiality)
    _add_transfers(router, authenticate, confidentiality)
    _add_grants(router, authenticate, confidentiality)
    _add_releases(router, authenticate, confidentiality)
    return router


def _add_participation(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, participations = Depends(authenticate), confidentiality.participations

    @router.get(f"{_DATASET}/participation", summary="Who takes part in the sharing of a dataset")
    async def show_participation(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """Both sides see where both stand."""
        return _json(await participations.show(subject, agreement_id, dataset_id))

    @router.put(f"{_DATASET}/participation", summary="Take part in the sharing of a dataset")
    async def opt_in(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """Data leaves once both parties take part. Needs `participate`; a second time changes nothing."""
        return _json(await participations.opt_in(subject, agreement_id, dataset_id))

    @router.delete(f"{_DATASET}/participation", summary="Take no part in the sharing of a dataset any more")
    async def opt_out(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """At any time, without a reason and without a breach. Needs `participate`; twice changes nothing."""
        return _json(await participations.opt_out(subject, agreement_id, dataset_id))


def _add_roster(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, rosters = Depends(authenticate), confidentiality.rosters

    @router.get(f"{_DATASET}/roster", summary="Who may see a dataset")
    async def show_roster(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """By ids; those who were struck stand there too."""
        return _json({"items": await rosters.show(subject, agreement_id, dataset_id)})

    @router.put(
        f"{_DATASET}/roster/{{person_id}}", openapi_extra=described_body(LISTING), summary="Put a person on the roster"
    )
    async def enlist(
        request: Request, subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id, person_id: _Id
    ) -> Response:
        """One of your own persons; `until` ends it by itself. Needs `confide`; the same again changes nothing."""
        said = document_of(await body_of(request, LONGEST))
        return _json(await rosters.enlist(subject, agreement_id, dataset_id, person_id, said))

    @router.delete(f"{_DATASET}/roster/{{person_id}}", summary="Strike a person off the roster")
    async def strike(
        subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id, person_id: _Id
    ) -> Response:
        """Refused from the next call on, with tokens that are out already. Either party may. Needs `confide`."""
        return _json(await rosters.strike(subject, agreement_id, dataset_id, person_id))


def _add_assessments(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, assessments = Depends(authenticate), confidentiality.assessments

    @router.get(f"{_DATASET}/assessments", summary="Impact assessments of a dataset")
    async def show_assessments(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """Oldest first; those that ended stay, as evidence."""
        return _json({"items": await assessments.show(subject, agreement_id, dataset_id)})

    @router.post(
        f"{_DATASET}/assessments",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(ASSESSMENT),
        summary="File an impact assessment",
    )
    async def assess(
        request: Request,
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        dataset_id: _Id,
        idempotency_key: _Key = None,
    ) -> Response:
        """By the owner, before personal information is provided to another. Needs `confide`."""
        body = await body_of(request, LONGEST)
        said = document_of(body)
        filing = Filing(subject, idempotency_key, fingerprint("POST assessments", agreement_id, dataset_id, body))
        return _created(await assessments.file(filing, agreement_id, dataset_id, said))

    @router.delete(f"{_DATASET}/assessments/{{assessment_id}}", summary="End an impact assessment")
    async def end_assessment(
        subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id, assessment_id: _Id
    ) -> Response:
        """When what was assessed has changed. Needs `confide`; a second time changes nothing."""
        return _json(await assessments.end(subject, agreement_id, dataset_id, assessment_id))


def _add_transfers(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, transfers = Depends(authenticate), confidentiality.transfers

    @router.get(f"{_DATASET}/transfers", summary="What lets a dataset cross a border")
    async def show_transfers(subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id) -> Response:
        """Oldest first."""
        return _json({"items": await transfers.show(subject, agreement_id, dataset_id)})

    @router.post(
        f"{_DATASET}/transfers",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(TRANSFER),
        summary="File what lets a dataset cross a border",
    )
    async def file_transfer(
        request: Request,
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        dataset_id: _Id,
        idempotency_key: _Key = None,
    ) -> Response:
        """By the owner; it counts once two operators have accepted it. Needs `confide`."""
        body = await body_of(request, LONGEST)
        said = document_of(body)
        filing = Filing(subject, idempotency_key, fingerprint("POST transfers", agreement_id, dataset_id, body))
        return _created(await transfers.file(filing, agreement_id, dataset_id, said))

    @router.delete(f"{_DATASET}/transfers/{{transfer_id}}", summary="End what lets a dataset cross a border")
    async def end_transfer(
        subject: Annotated[Subject, caller], agreement_id: _Id, dataset_id: _Id, transfer_id: _Id
    ) -> Response:
        """Nothing crosses on the strength of it any more. Needs `confide`; a second time changes nothing."""
        return _json(await transfers.end(subject, agreement_id, dataset_id, transfer_id))


def _add_grants(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, onward = Depends(authenticate), confidentiality.onward

    @router.get("/{agreement_id}/onward-grants", summary="The owner's grants to third parties")
    async def show_grants(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """A third party sees its own."""
        return _json({"items": await onward.of_agreement(subject, agreement_id)})

    @router.post("/{agreement_id}/onward-grants", openapi_extra=described_body(STATEMENT), summary="Grant onward use")
    async def grant(request: Request, subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """A compact JWS of `typ` `onward-grant+jws` by the owner's key for agreements. Needs `sign`.

        The same text again changes nothing; one that was revoked is refused.
        """
        jws = read_jws(await body_of(request, LONGEST))
        return _json(await onward.give(subject, agreement_id, jws))

    @router.delete("/{agreement_id}/onward-grants/{grant_id}", summary="Revoke a grant of onward use")
    async def revoke(subject: Annotated[Subject, caller], agreement_id: _Id, grant_id: _Id) -> Response:
        """At once, by the owner. Needs `sign`; a second time changes nothing."""
        return _json(await onward.revoke(subject, agreement_id, grant_id))


def _add_releases(router: APIRouter, authenticate: Authenticate, confidentiality: Confidentiality) -> None:
    caller, releases = Depends(authenticate), confidentiality.releases

    @router.get("/{agreement_id}/confidentiality", summary="How long the duty of secrecy lasts")
    async def show_duty(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """`review_on` is a reminder and no end: only a confirmed release ends the duty."""
        return _json(await releases.duty(subject, agreement_id))

    @router.post(
        f"{_DATASET}/releases",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(RELEASE),
        summary="State that fields are no secret any more",
    )
    async def file_release(
        request: Request,
        subject: Annotated[Subject, caller],
        agreement_id: _Id,
        dataset_id: _Id,
        idempotency_key: _Key = None,
    ) -> Response:
        """By either party, with evidence. The owner signs the answer's `statement`. Needs `confide`."""
        body = await body_of(request, LONGEST)
        said = document_of(body)
        filing = Filing(subject, idempotency_key, fingerprint("POST releases", agreement_id, dataset_id, body))
        return _created(await releases.file(filing, agreement_id, dataset_id, said))

    @router.post(
        "/{agreement_id}/releases/{release_id}/confirmation",
        openapi_extra=described_body(STATEMENT),
        summary="Confirm that fields are no secret any more",
    )
    async def confirm(
        request: Request, subject: Annotated[Subject, caller], agreement_id: _Id, release_id: _Id
    ) -> Response:
        """A compact JWS of `typ` `release+jws` over `statement` by the owner's key for agreements. Needs `sign`."""
        jws = read_jws(await body_of(request, LONGEST))
        return _json(await releases.confirm(subject, agreement_id, release_id, jws))

    @router.delete("/{agreement_id}/releases/{release_id}", summary="Decline a release")
    async def decline(subject: Annotated[Subject, caller], agreement_id: _Id, release_id: _Id) -> Response:
        """By the owner: the duty goes on. Needs `confide`; a second time changes nothing."""
        return _json(await releases.decline(subject, agreement_id, release_id))


def _created(answer: bytes) -> Response:
    return Response(answer, status.HTTP_201_CREATED, media_type=JSON)


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=JSON)

"""Referrals over HTTP, for the member that refers and the one that is referred to; nobody else finds any."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status

from gateway.access.message_signing import MessageSigning
from gateway.access.refusal import ClientChanged
from gateway.access.signed_routes import answered, refused
from gateway.canonical import canonical
from gateway.confidentiality.filing import Filing
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.database.idempotency import fingerprint
from gateway.errors import GatewayError, Invalid, NotAuthenticated
from gateway.identity import SignedRequest
from gateway.identity.subject import Subject
from gateway.referrals.bodies import ACT, DISCLOSURE, DRAFT, POLICY
from gateway.referrals.disclosing import Disclosed
from gateway.referrals.referrals import Referrals

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

LONGEST_BODY: Final = 16 * 1024
LARGEST_PAGE: Final = 100
_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_Key = Annotated[str | None, Header(alias="Idempotency-Key")]


def routes(
    authenticate: Authenticate,
    referrals: Referrals,
    client_changed: Callable[[Subject], NotAuthenticated],
    signing: MessageSigning,
) -> APIRouter:
    """Everything under `/v1/referrals`, and the referral policy of an agreement."""
    router = APIRouter(prefix="/v1", tags=["referrals"])
    caller = Depends(authenticate)

    @router.post(
        "/referrals",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(DRAFT),
        summary="Draft a referral",
    )
    async def draft(request: Request, subject: Annotated[Subject, caller], idempotency_key: _Key = None) -> Response:
        """One person of your own dataset, for the recipient of an agreement. Needs `refer`.

        `subject` and `contact` are never stored: the person is a pseudonym, the contact keyed terms. `preview` is what
        the recipient sees at most before it accepts; it names nobody.
        """
        body = await body_of(request, LONGEST_BODY)
        filing = Filing(subject, idempotency_key, fingerprint("POST referrals", body))
        answer = await referrals.drafting.draft(filing, document_of(body))
        return Response(answer, status.HTTP_201_CREATED, media_type=JSON)

    @router.get("/referrals", summary="Your referrals, made and offered")
    async def page(
        subject: Annotated[Subject, caller],
        after: Annotated[str, Query(pattern="^[0-9a-f]{0,32}$")] = "",
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = LARGEST_PAGE,
    ) -> Response:
        """By id, each as your side of it sees it; `next` is the id to go on after."""
        found = await referrals.lookup.of_member(subject.member, after=after, limit=limit)
        after_that = found[-1]["id"] if len(found) == limit else None
        return _json({"items": list(found), "next": after_that})

    @router.get("/referrals/{referral_id}", summary="One referral")
    async def show(subject: Annotated[Subject, caller], referral_id: _Id) -> Response:
        """The referrer sees where it stands; the recipient the masked preview, and its own notes."""
        return _json(await referrals.lookup.show(subject, referral_id))

    @router.post("/referrals/{referral_id}/acts", openapi_extra=described_body(ACT), summary="Act on a referral")
    async def act(
        request: Request, subject: Annotated[Subject, caller], referral_id: _Id, idempotency_key: _Key = None
    ) -> Response:
        """The referrer submits, answers, cancels; everything else is the recipient's. Needs `refer`.

        A submission is accepted for review, or waits for consent; whether the person is known shows in no answer.
        """
        body = await body_of(request, LONGEST_BODY)
        filing = Filing(subject, idempotency_key, fingerprint("POST acts", referral_id, body))
        return Response(await referrals.acts.act(filing, referral_id, document_of(body)), media_type=JSON)

    @router.post(
        "/referrals/{referral_id}/disclosure",
        openapi_extra=described_body(DISCLOSURE),
        summary="Have the accepted person disclosed",
    )
    async def disclose(request: Request, subject: Annotated[Subject, caller], referral_id: _Id) -> Response:
        """The consented fields, by a fresh decision; no answer of it is kept. Needs `refer`, and `read` as a read does.

        Repeated before the first contact, it is decided, entered and answered again.
        """
        signed = await signing.verify(request, subject)
        if signed is None:
            return _disclosed(await disclosed(request, subject, referral_id))
        try:
            done = await disclosed(request, subject, referral_id, signed)
        except GatewayError as error:
            return await refused(signing, subject, signed, error)
        return await answered(signing, subject, signed, _disclosed(done), done.release.recorded)

    async def disclosed(
        request: Request, subject: Subject, referral_id: str, signed: SignedRequest | None = None
    ) -> Disclosed:
        if document_of(await request.body()):
            raise Invalid("unknown_field", "The body is an empty object.", field="/")
        try:
            return await referrals.disclosing.disclose(subject, referral_id, signed)
        except ClientChanged:
            raise client_changed(subject) from None

    @router.get("/agreements/{agreement_id}/referral-policy", summary="How referrals are dealt with")
    async def policy(subject: Annotated[Subject, caller], agreement_id: _Id) -> Response:
        """What is in force between the two parties, and what is proposed."""
        return _json(await referrals.policies.show(subject, agreement_id))

    @router.post(
        "/agreements/{agreement_id}/referral-policy",
        openapi_extra=described_body(POLICY),
        summary="Propose or accept a referral policy",
    )
    async def state_policy(
        request: Request, subject: Annotated[Subject, caller], agreement_id: _Id, idempotency_key: _Key = None
    ) -> Response:
        """In force once both parties have said the very same; what is left out has its default. Needs `sign`."""
        body = await body_of(request, LONGEST_BODY)
        filing = Filing(subject, idempotency_key, fingerprint("POST referral-policy", agreement_id, body))
        return Response(await referrals.policies.state(filing, agreement_id, document_of(body)), media_type=JSON)

    return router


def _disclosed(done: Disclosed) -> Response:
    """The record is the vault's own JSON, named by its entry."""
    release = done.release
    record, fields = release.records[0]
    content = {
        "referral": done.seen,
        "record": {"id": record.hex(), "fields": orjson.Fragment(fields)},
        "event_id": release.recorded.event_id,
        "receipt": release.receipt,
        **release.accompanied,
    }
    headers = {"Cache-Control": "no-store", "Gateway-Event-Id": release.recorded.event_id}
    return Response(orjson.dumps(content), 200, headers, JSON)


def _json(value: Any) -> Response:
    return Response(canonical(value), media_type=JSON)

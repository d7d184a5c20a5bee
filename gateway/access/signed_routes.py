"""What every route does that answers a signed request: its answer is signed, a refusal too."""

from __future__ import annotations

from fastapi import Response

from gateway.access.message_signing import Answer, MessageSigning
from gateway.errors import GatewayError, Refused, Unavailable
from gateway.identity import SignedRequest, Subject
from gateway.ledger.entries import Recorded
from gateway.problems import problem_of


async def answered(
    signing: MessageSigning, subject: Subject, signed: SignedRequest, response: Response, recorded: Recorded
) -> Response:
    """The answer with its signature, once its delivery is on record; where it cannot be, a signed 503 in its place."""
    return await _delivered(signing, subject, signed, response, recorded.log, recorded.event_id)


async def refused(signing: MessageSigning, subject: Subject, signed: SignedRequest, error: GatewayError) -> Response:
    """The problem document of a deliberate error, as `answered`; in the operator's log where it names no entry."""
    named = (error.log, error.event_id) if isinstance(error, Refused) else (None, None)
    return await _delivered(signing, subject, signed, problem_of(error), *named)


async def _delivered(
    signing: MessageSigning,
    subject: Subject,
    signed: SignedRequest,
    response: Response,
    log: str | None,
    access: str | None,
) -> Response:
    try:
        signature = await signing.deliver(subject, signed, _said(response, log, access))
    except Unavailable as error:
        response = problem_of(error)
        signature = signing.sign(signed, _said(response))
    response.headers.update(signature)
    return response


def _said(response: Response, log: str | None = None, access: str | None = None) -> Answer:
    return Answer(response.status_code, bytes(response.body), log, access)

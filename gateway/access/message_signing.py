"""Signed requests in, signed answers out, and both kept before anything leaves.

An unsigned request passes at the price of one look at its headers. Every answer to a request with a good signature
is signed, a refusal too; of a file, its manifest (`signed_routes`, `files`).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from gateway.access.messages import KeptMessages
from gateway.database import AlreadyExists
from gateway.identity import Identity, ResponseSigner, SignedRequest, Subject
from gateway.identity.signed_requests import FIELDS
from gateway.ledger import Draft, Kind, Ledger


class Incoming(Protocol):
    """A request as Starlette has it."""

    @property
    def method(self) -> str: ...

    @property
    def scope(self) -> MutableMapping[str, Any]: ...

    async def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What is about to be sent. `log` and `access` name the entry of the access, where the answer knows it."""

    status: int
    content: bytes
    log: str | None = None
    access: str | None = None


class MessageSigning:
    """The message signatures of one gateway's reads."""

    def __init__(self, identity: Identity, signer: ResponseSigner, messages: KeptMessages, ledger: Ledger) -> None:
        self._identity = identity
        self._signer = signer
        self._messages = messages
        self._ledger = ledger

    async def verify(self, request: Incoming, subject: Subject) -> SignedRequest | None:
        """The request with its signature, kept; None for an unsigned one, or a client that the seam will refuse.

        `NotAuthenticated` for a signature that does not hold, whether one is demanded or not, and for a message
        that was accepted before. DPoP's `jti`, which is covered, makes a repeated request fail even earlier.
        """
        headers = request.scope["headers"]
        if FIELDS.isdisjoint([name for name, _ in headers]):
            return None
        target, query = request.scope["raw_path"], request.scope["query_string"]
        target = (target + b"?" + query if query else target).decode("latin-1")
        signed = await self._identity.verify_signature(subject, request.method, target, headers, await request.body())
        if signed is not None:
            try:
                await self._messages.keep(subject.member, signed.message)
            except AlreadyExists:
                raise self._identity.challenge_signature(subject, "SIGNATURE_REPLAYED") from None
        return signed

    async def deliver(self, subject: Subject, signed: SignedRequest, answer: Answer) -> Mapping[str, str]:
        """The header fields that sign an answer, once it is on record what they were: send it only after that.

        The entry stands in the log of the access; in the operator's where the answer tells of no entry, as a 404
        does not. `Unavailable` where it cannot be written.
        """
        response = self._signer.sign(answer.status, answer.content, signed)
        await self._messages.keep(subject.member, response.message)
        facts = {
            "actor": {"member": subject.member, "client": subject.client, "token": subject.token},
            "status": answer.status,
            "content_sha256": sha256(answer.content).hexdigest(),
            "request_sha256": signed.message.sha256,
            "message": response.describe(),
        }
        if answer.access is not None:
            facts["access"] = answer.access
        await self._ledger.record(Draft(log=answer.log or subject.alliance, kind=Kind.DELIVERY, facts=facts))
        return response.headers

    def sign(self, signed: SignedRequest, answer: Answer) -> Mapping[str, str]:
        """The header fields for an answer that could not be recorded: it says so, and carries nothing."""
        return self._signer.sign(answer.status, answer.content, signed).headers

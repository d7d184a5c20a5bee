"""The token endpoint: `client_credentials` for authenticated clients, bound to a key or certificate of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import orjson

from gateway.abreast import abreast
from gateway.clock import Clock, seconds
from gateway.identity import grants
from gateway.identity.authentication import Caller, ClientAuthentication, Headers, RefusalRecord
from gateway.identity.methods import Binding
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import Proof, ProofCheck, ProofRefused
from gateway.identity.refusals import TokenRefused
from gateway.identity.replay import ProofWindow, Spending
from gateway.identity.subject import Subject
from gateway.identity.tokens import Minted, Tokens

PATH: Final = "/token"
OPEN_END: Final = 253_402_300_799
"""The epoch second that stands for no end."""
_DETAILS_BYTES: Final = 6 * 1024


@dataclass(frozen=True, slots=True)
class Admission:
    """A member's place: its alliance, whether it is suspended there, and until when its papers hold.

    `qualified_until` is the epoch second from which they hold no more (clause 2.1.1).
    """

    alliance: str
    suspended: bool = False
    qualified_until: int = OPEN_END

    def stopped(self, now_s: int) -> str:
        """Why the member gets no access at this second, '' if it does."""
        if self.suspended:
            return "MEMBER_SUSPENDED"
        return "QUALIFICATION_EXPIRED" if now_s >= self.qualified_until else ""


class Membership(Protocol):
    """What the members package tells identity; the app supplies it."""

    async def admission(self, member: str) -> Admission | None:
        """Where the member stands now; None for one that is unknown."""


class TokenRecord(RefusalRecord, Protocol):
    """Where token events of known clients go on record; an `Unavailable` from it becomes 503."""

    async def on_granted(self, subject: Subject, spending: Spending | None, sign: Callable[[], str]) -> str:
        """What `sign` makes: the token, whose grant is on record now together with what is spent for it, durably.
        '', and nothing on record, where that was spent before. It may be signed while the disk is waited for."""

    async def on_revoked(self, subject: Subject) -> None:
        """Revoke the client's token by `revoked.revoke`, with its entry: on return no process lets it open anything."""


class TokenAnswer(NamedTuple):
    """A success of the token endpoint (RFC 6749 section 5.1, RFC 9396 section 7).

    `token_type` is `DPoP`, or `Bearer` where the token is bound to a certificate (RFC 8705 names no type of its own).
    """

    body: Mapping[str, Any]
    nonce: str


class TokenEndpoint:
    """See the module. One instance per process."""

    def __init__(
        self,
        clients: ClientAuthentication,
        clock: Clock,
        tokens: Tokens,
        *,
        issuer: str,
        resource: str,
        proofs: ProofWindow,
        terms: grants.AgreementTerms,
        membership: Membership,
        record: TokenRecord,
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._tokens = tokens
        self._issuer = issuer
        self._resource = resource
        self._proof_window = proofs
        self._terms = terms
        self._membership = membership
        self._record = record
        self._nonces = Nonces("token", proofs.nonce_secret, clock)
        self._proofs = ProofCheck(self._nonces, clock)

    def next_nonce(self) -> str:
        """The nonce that a proof for the token endpoint needs now."""
        return self._nonces.current()

    async def answer(self, headers: Headers, body: bytes, peer: str = "") -> TokenAnswer:
        """A token, or `TokenRefused`. Nothing is spent before client and proof both hold, nonce included.

        From then on the assertion is used up whatever the answer: with the grant's entry, in one transaction, or alone.
        """
        async with self._clients.calling(headers, body, peer) as caller:
            self._check_request(caller.form)
            await abreast()
            proof = self._proof(caller, headers)
            await abreast()
            if proof and not await self._proof_window.reserve("token", proof.jkt, proof.jti, proof.until):
                raise TokenRefused("invalid_dpop_proof", "PROOF_REPLAYED")
            try:
                minted = await self._mint(caller, proof)
            except TokenRefused:
                await self._clients.spend(caller)
                raise
            await abreast()
            spending = self._clients.spending(caller)
            token = await self._record.on_granted(minted.subject, spending, minted.sign)
            self._clients.spent(caller, fresh=bool(token))
            return TokenAnswer(_body(token, minted), self.next_nonce())

    def _check_request(self, form: Mapping[str, str]) -> None:
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "GRANT_TYPE")
        if "scope" in form:
            raise TokenRefused("invalid_scope", "SCOPE")
        if form.get("resource", self._resource) != self._resource:
            raise TokenRefused("invalid_target", "RESOURCE")

    def _proof(self, caller: Caller, headers: Headers) -> Proof | None:
        """The proof whose key the token is bound to; None where it is bound to the caller's certificate."""
        found = [value for name, value in headers if name == b"dpop"]
        if caller.client.method.binding is Binding.CERTIFICATE:
            if found:
                raise TokenRefused("invalid_dpop_proof", "PROOF_UNEXPECTED")
            return None
        if len(found) != 1:
            raise TokenRefused("invalid_dpop_proof", "PROOF_COUNT")
        try:
            return self._proofs.check(found[0], method="POST", target=self._issuer + PATH, ath=None)
        except ProofRefused as refused:
            raise TokenRefused(refused.error, refused.code, nonce=self._nonces.current()) from None

    async def _mint(self, caller: Caller, proof: Proof | None) -> Minted:
        client = caller.client
        admission = await self._membership.admission(client.member)
        if admission is None:
            raise TokenRefused("unauthorized_client", "MEMBER_NOT_ADMITTED")
        now = seconds(self._clock())
        asked = _asked(caller.form.get("authorization_details", ""))
        stopped = admission.stopped(now)
        granted = await grants.granted(
            asked, member=client.member, terms=self._terms, now_s=now, suspended=bool(stopped)
        )
        if not granted.agreements and not granted.actions:
            if stopped:
                raise TokenRefused("unauthorized_client", stopped)
            raise TokenRefused("invalid_authorization_details", "DETAILS_NOTHING_GRANTED")
        await self._tokens.keys.follow()
        minted = self._tokens.mint(
            alliance=admission.alliance,
            member=client.member,
            client=client.id,
            version=client.version,
            grants=granted if stopped else granted.ending(admission.qualified_until),
            now=now,
            **_binding(caller, proof),
        )
        if len(orjson.dumps(minted.details)) > _DETAILS_BYTES:
            raise TokenRefused("invalid_authorization_details", "DETAILS_TOO_LARGE")
        return minted


def _binding(caller: Caller, proof: Proof | None) -> dict[str, str]:
    if proof is not None:
        return {"jkt": proof.jkt}
    assert caller.certificate is not None
    return {"certificate": caller.certificate.thumbprint}


def _asked(parameter: str) -> grants.Grants:
    if not parameter:
        raise TokenRefused("invalid_authorization_details", "DETAILS_MISSING")
    if len(parameter) > _DETAILS_BYTES:
        raise TokenRefused("invalid_authorization_details", "DETAILS_TOO_LARGE")
    try:
        return grants.requested(parameter)
    except grants.DetailsInvalid:
        raise TokenRefused("invalid_authorization_details", "DETAILS_MALFORMED") from None


def _body(token: str, minted: Minted) -> dict[str, Any]:
    return {
        "access_token": token,
        "token_type": minted.subject.token_type,
        "expires_in": minted.expires_in,
        "authorization_details": minted.details,
    }

"""The token endpoint: `client_credentials` for authenticated clients, bound by DPoP, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from gateway.clock import Clock, seconds
from gateway.identity import grants
from gateway.identity.authentication import ClientAuthentication, RefusalRecord
from gateway.identity.clients import KnownClient
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import Proof, ProofCheck, ProofRefused
from gateway.identity.refusals import TokenRefused
from gateway.identity.replay import ProofWindow, Spending
from gateway.identity.subject import Subject
from gateway.identity.tokens import Minted, Tokens

PATH: Final = "/token"
_DETAILS_BYTES: Final = 6 * 1024


class Membership(Protocol):
    """What the members package tells identity; the app supplies it."""

    async def alliance_of(self, member: str) -> str | None:
        """The alliance in which the member is admitted now; None for unknown and suspended members."""


class TokenRecord(RefusalRecord, Protocol):
    """Where token events of known clients go on record; an `Unavailable` from it becomes 503."""

    async def on_granted(self, subject: Subject, spending: Spending) -> bool:
        """A token is about to be handed out: on record together with the assertion's end, durably. False, and
        nothing on record, where the assertion was used before."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A success of the token endpoint (RFC 6749 section 5.1, RFC 9396 section 7)."""

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

    async def answer(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> TokenAnswer:
        """A token, or `TokenRefused`. Nothing is spent before assertion and proof both hold, nonce included.

        From then on the assertion is used up whatever the answer: with the grant's entry, in one transaction, or alone.
        """
        async with self._clients.calling(headers, body) as caller:
            self._check_request(caller.form)
            proof = self._proof(headers)
            if not await self._proof_window.reserve("token", proof.jkt, proof.jti, proof.until):
                raise TokenRefused("invalid_dpop_proof", "PROOF_REPLAYED")
            try:
                minted = await self._mint(caller.client, caller.form, proof)
            except TokenRefused:
                await self._clients.spend(caller)
                raise
            if not await self._record.on_granted(minted.subject, self._clients.spending(caller)):
                raise TokenRefused("invalid_client", "ASSERTION_REPLAYED")
            return TokenAnswer(_body(minted), self.next_nonce())

    def _check_request(self, form: Mapping[str, str]) -> None:
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", "GRANT_TYPE")
        if "scope" in form:
            raise TokenRefused("invalid_scope", "SCOPE")
        if form.get("resource", self._resource) != self._resource:
            raise TokenRefused("invalid_target", "RESOURCE")

    def _proof(self, headers: Sequence[tuple[bytes, bytes]]) -> Proof:
        found = [value for name, value in headers if name == b"dpop"]
        if len(found) != 1:
            raise TokenRefused("invalid_dpop_proof", "PROOF_COUNT")
        try:
            return self._proofs.check(found[0], method="POST", target=self._issuer + PATH, ath=None)
        except ProofRefused as refused:
            raise TokenRefused(refused.error, refused.code, nonce=self._nonces.current()) from None

    async def _mint(self, client: KnownClient, form: Mapping[str, str], proof: Proof) -> Minted:
        alliance = await self._membership.alliance_of(client.member)
        if alliance is None:
            raise TokenRefused("unauthorized_client", "MEMBER_NOT_ADMITTED")
        now = seconds(self._clock())
        granted = await grants.granted(
            _asked(form.get("authorization_details", "")), member=client.member, terms=self._terms, now_s=now
        )
        if not granted.agreements and not granted.actions:
            raise TokenRefused("invalid_authorization_details", "DETAILS_NOTHING_GRANTED")
        if len(orjson.dumps(granted.details())) > _DETAILS_BYTES:
            raise TokenRefused("invalid_authorization_details", "DETAILS_TOO_LARGE")
        return self._tokens.mint(
            alliance=alliance,
            member=client.member,
            client=client.id,
            version=client.version,
            jkt=proof.jkt,
            grants=granted,
            now=now,
        )


def _asked(parameter: str) -> grants.Grants:
    if not parameter:
        raise TokenRefused("invalid_authorization_details", "DETAILS_MISSING")
    if len(parameter) > _DETAILS_BYTES:
        raise TokenRefused("invalid_authorization_details", "DETAILS_TOO_LARGE")
    try:
        return grants.requested(parameter)
    except grants.DetailsInvalid:
        raise TokenRefused("invalid_authorization_details", "DETAILS_MALFORMED") from None


def _body(minted: Minted) -> dict[str, Any]:
    return {
        "access_token": minted.text,
        "token_type": "DPoP",
        "expires_in": minted.expires_in,
        "authorization_details": minted.details,
    }

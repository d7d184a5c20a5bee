"""The token endpoint: `client_credentials` with private_key_jwt and DPoP, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.canonical import canonical
from gateway.clock import Clock, seconds
from gateway.database import Database
from gateway.errors import Unavailable
from gateway.identity import assertions, grants
from gateway.identity.assertions import ASSERTION_TYPE, Assertion, Claimed
from gateway.identity.clients import KnownClient, find_client
from gateway.identity.forms import parse_form
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import Proof, ProofCheck, ProofRefused
from gateway.identity.refusals import TokenRefused
from gateway.identity.replay import ProofWindow, ReplayWindow
from gateway.identity.security_log import SecurityLog
from gateway.identity.subject import Subject
from gateway.identity.tokens import Minted, Tokens

PATH: Final = "/token"
_DETAILS_BYTES: Final = 6 * 1024
_SAME_REFUSAL_SECONDS: Final = 60
_OTHER_CREDENTIALS: Final = ("client_secret", "username", "password")


class Membership(Protocol):
    """What the members package tells identity; the app supplies it."""

    async def alliance_of(self, member: str) -> str | None:
        """The alliance in which the member is admitted now; None for unknown and suspended members."""


class TokenRecord(Protocol):
    """Where token events of known clients go on record; an `Unavailable` from it becomes 503."""

    async def on_granted(self, subject: Subject) -> None:
        """A token is about to be handed out."""

    async def on_refused(self, client: KnownClient, code: str) -> None:
        """A client that proved its key was refused; the same code of a client comes at most once a minute."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A success of the token endpoint (RFC 6749 section 5.1, RFC 9396 section 7)."""

    body: Mapping[str, Any]
    nonce: str


class TokenEndpoint:
    """See the module. One instance per process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        tokens: Tokens,
        *,
        issuer: str,
        resource: str,
        proofs: ProofWindow,
        assertions: ReplayWindow,
        terms: grants.AgreementTerms,
        membership: Membership,
        record: TokenRecord,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._issuer = issuer
        self._resource = resource
        self._proof_window = proofs
        self._assertion_window = assertions
        self._terms = terms
        self._membership = membership
        self._record = record
        self._log = log
        self._nonces = Nonces("token", proofs.nonce_secret, clock)
        self._proofs = ProofCheck(self._nonces, clock)
        self._minute = 0
        self._entered: set[tuple[str, str]] = set()

    def next_nonce(self) -> str:
        """The nonce that a proof for the token endpoint needs now."""
        return self._nonces.current()

    async def answer(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> TokenAnswer:
        """A token, or `TokenRefused`. Nothing is spent before assertion and proof both hold, nonce included."""
        try:
            return await self._answer(headers, body)
        except Unavailable as unavailable:
            raise TokenRefused("temporarily_unavailable", unavailable.code) from None

    async def _answer(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> TokenAnswer:
        claimed = None
        try:
            form = _form(headers, body)
            claimed = assertions.claimed(form["client_assertion"])
            client = await self._known(claimed)
        except TokenRefused as refused:
            self._log.note(refused.code, client=claimed.client if claimed else "")
            raise
        try:
            return await self._serve(client, claimed, form, headers)
        except TokenRefused as refused:
            if refused.error != "use_dpop_nonce":
                await self._enter(client, refused.code)
            raise

    async def _known(self, claimed: Claimed) -> KnownClient:
        """The client, once one of its keys is seen to have signed: until here everybody is a stranger."""
        client = await find_client(self._database, claimed.client)
        if client is None:
            raise TokenRefused("invalid_client", "CLIENT_UNKNOWN")
        if not assertions.signed_by(claimed, client):
            raise TokenRefused("invalid_client", "ASSERTION_SIGNATURE")
        return client

    async def _serve(
        self, client: KnownClient, claimed: Claimed, form: Mapping[str, str], headers: Sequence[tuple[bytes, bytes]]
    ) -> TokenAnswer:
        if client.state != "active":
            raise TokenRefused("invalid_client", "CLIENT_REVOKED")
        if form.get("client_id", client.id) != client.id:
            raise TokenRefused("invalid_client", "CLIENT_MISMATCH")
        assertion = assertions.check(claimed, client, issuer=self._issuer, now=seconds(self._clock()))
        self._check_request(form)
        proof = self._proof(headers)
        await self._spend(client, assertion, proof)
        minted = await self._mint(client, form, proof)
        await self._record.on_granted(minted.subject)
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

    async def _spend(self, client: KnownClient, assertion: Assertion, proof: Proof) -> None:
        if not await self._proof_window.reserve("token", proof.jkt, proof.jti, proof.until):
            raise TokenRefused("invalid_dpop_proof", "PROOF_REPLAYED")
        if not await self._assertion_window.reserve("assertion", client.id, assertion.jti, assertion.until):
            raise TokenRefused("invalid_client", "ASSERTION_REPLAYED")

    async def _mint(self, client: KnownClient, form: Mapping[str, str], proof: Proof) -> Minted:
        alliance = await self._membership.alliance_of(client.member)
        if alliance is None:
            raise TokenRefused("unauthorized_client", "MEMBER_NOT_ADMITTED")
        now = seconds(self._clock())
        granted = await grants.granted(
            _asked(form.get("authorization_details", "")), member=client.member, terms=self._terms, now_s=now
        )
        details = canonical(granted.details())
        if not granted.agreements and not granted.actions:
            raise TokenRefused("invalid_authorization_details", "DETAILS_NOTHING_GRANTED")
        if len(details) > _DETAILS_BYTES:
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

    async def _enter(self, client: KnownClient, code: str) -> None:
        """On record once a minute per client and code; in the security log every time."""
        self._log.note(code, client=client.id)
        minute = seconds(self._clock()) // _SAME_REFUSAL_SECONDS
        if minute != self._minute:
            self._minute, self._entered = minute, set()
        if (client.id, code) not in self._entered:
            self._entered.add((client.id, code))
            await self._record.on_refused(client, code)


def _form(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> dict[str, str]:
    """The form, once it carries exactly one way to authenticate: a client assertion."""
    types = [value for name, value in headers if name == b"content-type"]
    form = parse_form(types[0] if len(types) == 1 else b"", body)
    if any(name == b"authorization" for name, _ in headers) or not form.keys().isdisjoint(_OTHER_CREDENTIALS):
        raise TokenRefused("invalid_client", "CLIENT_METHOD")
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise TokenRefused("invalid_client", "ASSERTION_MISSING")
    return form


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

"""The package's front: what the gateway asks of identity, in a few questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.clock import Clock, seconds
from gateway.database import Database
from gateway.errors import Invalid, Reason, Refused
from gateway.identity import clients, metadata, signed_requests
from gateway.identity.authentication import ClientAuthentication, PublishedKeys
from gateway.identity.endpoint import Membership, TokenEndpoint, TokenRecord
from gateway.identity.floods import USUAL_RATES, Rates
from gateway.identity.grants import AgreementTerms
from gateway.identity.introspection import IntrospectionEndpoint
from gateway.identity.message_signatures import Request
from gateway.identity.proxy import NO_PROXY, TrustedProxy
from gateway.identity.refusals import Challenge
from gateway.identity.replay import AssertionWindow, ProofWindow
from gateway.identity.resource import ResourceCheck
from gateway.identity.revocation import RevocationEndpoint
from gateway.identity.revoked import Standing, purge, standing
from gateway.identity.security_log import SecurityLog
from gateway.identity.signed_requests import SignatureRefused, SignedRequest
from gateway.identity.subject import Subject
from gateway.identity.token_keys import TokenKeys
from gateway.identity.tokens import Tokens

__all__ = ["Identity", "Membership", "TokenRecord"]

_OVER: Final = {Standing.CHANGED: "CLIENT_CHANGED", Standing.REVOKED: "TOKEN_REVOKED"}


class Identity:
    """Clients, tokens and proofs of one gateway.

    `issuer` is an origin (`https://host[:port]`, RFC 8414 section 2); `resource` the URL of the API below which
    every request lies (RFC 9728 section 1.2). DPoP `htu` is compared with the public origin of `resource`, never
    with a Host header. `proofs` remembers DPoP proofs, `assertions` client assertions. `mtls` is the origin at
    which the trusted `proxy` asks for client certificates; '' where it does not.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        keys: TokenKeys,
        *,
        issuer: str,
        resource: str,
        proofs: ProofWindow,
        assertions: AssertionWindow,
        terms: AgreementTerms,
        membership: Membership,
        record: TokenRecord,
        log: SecurityLog,
        published: PublishedKeys,
        proxy: TrustedProxy = NO_PROXY,
        mtls: str = "",
        rates: Rates = USUAL_RATES,
    ) -> None:
        _check_url(issuer, "issuer", path=False)
        _check_url(resource, "resource", path=True)
        self.issuer = issuer
        self.resource = resource
        self.mtls = mtls
        self.log = log
        self.proxy = proxy
        self._database = database
        self._clock = clock
        self._keys = keys
        self._published = published
        tokens = Tokens(keys, issuer=issuer, resource=resource)
        self._check = ResourceCheck(
            tokens,
            proofs,
            clock,
            log,
            origin=metadata.origin(resource),
            metadata=metadata.resource_metadata_url(resource),
            proxy=proxy,
        )
        self.client_authentication = ClientAuthentication(
            database,
            clock,
            issuer=issuer,
            window=assertions,
            record=record,
            log=log,
            published=published,
            proxy=proxy,
            rates=rates,
        )
        self.token_endpoint = TokenEndpoint(
            self.client_authentication,
            clock,
            tokens,
            issuer=issuer,
            resource=resource,
            proofs=proofs,
            terms=terms,
            membership=membership,
            record=record,
        )
        self.revocation_endpoint = RevocationEndpoint(
            database, self.client_authentication, clock, tokens, record=record, log=log
        )
        self.introspection_endpoint = IntrospectionEndpoint(
            database,
            self.client_authentication,
            clock,
            tokens,
            issuer=issuer,
            terms=terms,
            membership=membership,
            log=log,
        )

    async def authenticate(
        self, method: str, url: str, headers: Sequence[tuple[bytes, bytes]], peer: str = ""
    ) -> Subject:
        """The subject of a request, or `Challenge` (a `NotAuthenticated` that knows its 401 headers).

        `headers` are raw ASGI headers (lower-case names). `url` is the request's path as it was sent (still
        percent-encoded), or an absolute URL of which only the path is used. `peer` is the address of the
        connection's other end: only the trusted proxy is believed about a client certificate. No database is asked
        when the token was verified before: the caller compares the client's state and `Subject.client_version` in
        its own snapshot, or calls `require_active`. `Unavailable` where the replay window cannot answer.
        """
        return await self._check.authenticate(method, url, headers, peer)

    def require_unexpired(self, subject: Subject) -> None:
        """`Challenge` for a subject whose token has run out since it was verified, as while a body came slowly."""
        if subject.expires_at <= seconds(self._clock()):
            raise self._check.challenge("invalid_token", "TOKEN_EXPIRED", scheme=subject.token_type)

    async def require_active(self, subject: Subject, *, withdrawing: bool = False) -> None:
        """Raise unless client, keys, member and token stand as when the token was issued. One query.

        `Challenge` for a client that changed or a token that was revoked, `Refused` for a suspended member; where the
        caller is `withdrawing` a person's consent, its member may be suspended.
        """
        stands = await standing(self._database, subject)
        if stands in _OVER:
            raise self._check.challenge("invalid_token", _OVER[stands], scheme=subject.token_type)
        if stands is Standing.SUSPENDED and not withdrawing:
            raise Refused((Reason("MEMBER_SUSPENDED", "9.2.3"),))

    async def verify_signature(
        self, subject: Subject, method: str, target: str, headers: Sequence[tuple[bytes, bytes]], content: bytes
    ) -> SignedRequest | None:
        """The subject's request with its message signature; `Challenge` if that does not hold. One query, and a look
        where the client publishes its keys by address and the last look is too old for an assertion, too.

        `target` is the request's path and query as they were sent. None where the client has changed since its
        token was issued: its keys say nothing any more, and the seam refuses it on the record.
        """
        client = await clients.find_client(self._database, subject.client, self._clock())
        if client is None or client.state != "active" or client.version != subject.client_version:
            return None
        client = await self._published.fresh(client)
        request = Request(method, metadata.origin(self.resource) + target, headers, content)
        try:
            return signed_requests.verify(request, client.keys, seconds(self._clock()))
        except SignatureRefused as refused:
            raise self.challenge_signature(subject, refused.code) from None

    def challenge_signature(self, subject: Subject, reason: str) -> Challenge:
        """The 401 for a message signature that does not count; `reason` goes to the security log alone."""
        return self._check.challenge("invalid_signature", reason, scheme=subject.token_type)

    def challenge_changed(self, subject: Subject) -> Challenge:
        """The 401 for a token that is over, or whose client changed; for callers that compared it themselves."""
        return self._check.challenge("invalid_token", "CLIENT_CHANGED", scheme=subject.token_type)

    def next_nonce(self) -> str:
        """To be sent as `DPoP-Nonce` with answers of the resource, so that clients need no second try."""
        return self._check.next_nonce()

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys that verify our tokens, as they are now."""
        await self._keys.follow()
        return self._keys.jwks()

    async def forget_expired(self) -> None:
        """Delete what is kept of tokens that have expired; to be called now and then."""
        await purge(self._database, seconds(self._clock()))

    def server_metadata(self) -> dict[str, Any]:
        """RFC 8414 metadata."""
        return metadata.server(self.issuer, self.resource, self.mtls)

    def resource_metadata(self) -> dict[str, Any]:
        """RFC 9728 metadata."""
        return metadata.protected_resource(self.issuer, self.resource, self.mtls)


def _check_url(url: str, field: str, *, path: bool) -> None:
    parts = urlsplit(url)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or url.endswith("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or (parts.path and not path):
        raise Invalid("invalid_url", "The URL has a scheme and a host, no trailing slash, query or user.", field=field)

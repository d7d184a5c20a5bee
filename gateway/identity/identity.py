"""The package's front: what the gateway asks of identity, in four questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.database import Database
from gateway.errors import Invalid
from gateway.identity import clients, metadata
from gateway.identity.authentication import ClientAuthentication, PublishedKeys
from gateway.identity.endpoint import Membership, TokenEndpoint, TokenRecord
from gateway.identity.floods import USUAL_RATES, Rates
from gateway.identity.grants import AgreementTerms
from gateway.identity.proxy import NO_PROXY, TrustedProxy
from gateway.identity.refusals import Challenge
from gateway.identity.replay import ProofWindow, ReplayWindow
from gateway.identity.resource import ResourceCheck
from gateway.identity.security_log import SecurityLog
from gateway.identity.subject import Subject
from gateway.identity.tokens import TokenKeys, Tokens

__all__ = ["Identity", "Membership", "TokenRecord"]


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
        assertions: ReplayWindow,
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
        self._database = database
        self._keys = keys
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

    async def require_active(self, subject: Subject) -> None:
        """Raise `Challenge` unless the client is active and unchanged since the token was issued. One query."""
        if not await clients.stands(self._database, subject.client, subject.client_version):
            raise self.challenge_changed()

    def challenge_changed(self) -> Challenge:
        """The 401 for a token whose client or keys have changed since; for callers that compared the version."""
        return self._check.challenge("invalid_token", "CLIENT_CHANGED")

    def next_nonce(self) -> str:
        """To be sent as `DPoP-Nonce` with answers of the resource, so that clients need no second try."""
        return self._check.next_nonce()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys that verify our tokens."""
        return self._keys.jwks()

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

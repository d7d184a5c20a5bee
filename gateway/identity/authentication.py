"""Client authentication, the same at every OAuth endpoint (RFC 6749 section 2.3): by assertion or by certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

from gateway.abreast import AskedTogether
from gateway.clock import Clock, seconds
from gateway.database import Database
from gateway.errors import Unavailable
from gateway.identity import assertions
from gateway.identity.assertions import ASSERTION_TYPE, Assertion, Claimed
from gateway.identity.certificates import Certificate, CertificateRefused
from gateway.identity.claims import CLIENT_ID, text
from gateway.identity.clients import KnownClient, find_client
from gateway.identity.floods import Floods, Rates
from gateway.identity.forms import parse_form
from gateway.identity.methods import Binding, Method, MethodName
from gateway.identity.proxy import TrustedProxy
from gateway.identity.refusals import TokenRefused
from gateway.identity.replay import AssertionWindow, Spending
from gateway.identity.security_log import OnceAMinute, SecurityLog

_OTHER_CREDENTIALS: Final = ("client_secret", "username", "password")

Headers = Sequence[tuple[bytes, bytes]]


class PublishedKeys(Protocol):
    """Where the keys come from of clients that publish them by address; the app supplies it.

    Both answer with the very client that they were given where nothing is new.
    """

    async def fresh(self, client: KnownClient) -> KnownClient:
        """The client with keys that are not stale."""

    async def renewed(self, client: KnownClient) -> KnownClient:
        """The client after another look, where one is allowed already: none of its keys has signed."""


class RefusalRecord(Protocol):
    """Where refusals of known clients go on record; an `Unavailable` from it becomes 503."""

    async def on_refused(self, client: KnownClient, code: str) -> None:
        """A client that proved itself was refused; the same code of a client comes at most once a minute."""


class Claim(NamedTuple):
    """What a request brings to show who it is."""

    form: Mapping[str, str]
    assertion: Claimed | None
    certificate: Certificate | None


class Caller(NamedTuple):
    """A client that proved who it is, and the form that it sent. Its assertion, if any, is still to be spent.

    `certificate` is that of the connection, valid now, wherever the client's registration asks for one. `address` is
    where the request came from.
    """

    client: KnownClient
    form: Mapping[str, str]
    assertion: Assertion | None
    certificate: Certificate | None
    address: str


class ClientAuthentication:
    """Tells who calls an OAuth endpoint. One instance per process, shared by the endpoints.

    An endpoint serves inside `async with clients.calling(headers, body, peer) as caller`, makes every check that may
    end in a challenge, then calls `spend`, and only then acts. Or it hands `spending` to the transaction that acts, and
    says by `spent` what came of it.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        issuer: str,
        window: AssertionWindow,
        record: RefusalRecord,
        log: SecurityLog,
        published: PublishedKeys,
        proxy: TrustedProxy,
        rates: Rates,
    ) -> None:
        self._clock = clock
        self._database = database
        self._registered = AskedTogether(self._find)
        self._published = published
        self._issuer = issuer
        self._window = window
        self._record = record
        self._log = log
        self._proxy = proxy
        self._floods = Floods(rates, clock)
        self._refusals = OnceAMinute(clock)

    @asynccontextmanager
    async def calling(self, headers: Headers, body: bytes, peer: str = "") -> AsyncIterator[Caller]:
        """The authenticated caller of a form request, for as long as it is served; else `TokenRefused`.

        `headers` are raw ASGI headers (lower-case names), `peer` is the connection's other end (`peer_of(scope)`).
        Nothing is spent yet. Whatever is refused before a key or certificate of the client is seen is a stranger's
        doing and stands in the security log alone. Every later `TokenRefused`, also of the block, is the client's
        and goes on record too, except a nonce challenge. An `Unavailable` becomes `temporarily_unavailable`.
        """
        address = self._proxy.address(headers, peer)
        try:
            claim, client = await self._known(headers, body, peer, address)
            try:
                yield self._check(claim, client, address)
            except TokenRefused as refused:
                if refused.error != "use_dpop_nonce":
                    await self._enter(client, refused.code)
                raise
        except Unavailable as unavailable:
            raise TokenRefused("temporarily_unavailable", unavailable.code) from None

    async def spend(self, caller: Caller) -> None:
        """Use the caller's assertion up, on every process and beyond a restart; `TokenRefused` if it was used.

        Also where the client has had its share of requests. A certificate is not spent: the connection is fresh.
        """
        client, assertion = caller.client.id, caller.assertion
        self._floods.allow(client)
        fresh = not assertion or await self._window.reserve("assertion", client, assertion.jti, assertion.until)
        self.spent(caller, fresh=fresh)

    def spending(self, caller: Caller) -> Spending | None:
        """As `spend`, left to the transaction of what the caller asked for; None where nothing is to be spent."""
        client, assertion = caller.client.id, caller.assertion
        self._floods.allow(client)
        return self._window.spending("assertion", client, assertion.jti, assertion.until) if assertion else None

    def spent(self, caller: Caller, *, fresh: bool) -> None:
        """What came of `spending`, once it is durable; `TokenRefused` if the assertion was used before."""
        if not fresh:
            self._floods.disallow(caller.client.id)
            raise TokenRefused("invalid_client", "ASSERTION_REPLAYED")
        self._floods.served(caller.address, caller.client.id)

    async def _find(self, name: str) -> KnownClient | None:
        return await find_client(self._database, name, self._clock())

    async def _known(self, headers: Headers, body: bytes, peer: str, address: str) -> tuple[Claim, KnownClient]:
        """The client, once a key or certificate of its own is seen: until here everybody is a stranger."""
        registered = ""
        try:
            form = _form(headers, body)
            assertion = assertions.claimed(form["client_assertion"]) if "client_assertion" in form else None
            name = assertion.client if assertion else _named(form)
            self._floods.attempt(address, name)
            client = await self._registered.ask(name)
            if client is None:
                raise TokenRefused("invalid_client", "CLIENT_UNKNOWN")
            registered = client.id
            claim = Claim(form, assertion, self._certificate(client, headers, peer))
            client = await self._proven(claim, client, chain_is_good=self._proxy.vouches(headers, peer))
        except TokenRefused as refused:
            self._log.note(refused.code, client=registered)
            if not refused.retry_after:
                self._floods.failed(address)
            raise
        self._floods.proven(address, name)
        return claim, client

    def _certificate(self, client: KnownClient, headers: Headers, peer: str) -> Certificate | None:
        """The connection's certificate, where the client is registered with a use for it."""
        if client.method.binding is not Binding.CERTIFICATE:
            return None
        try:
            return self._proxy.certificate(headers, peer)
        except CertificateRefused:
            raise TokenRefused("invalid_client", "CERTIFICATE_MALFORMED") from None

    async def _proven(self, claim: Claim, client: KnownClient, *, chain_is_good: bool) -> KnownClient:
        """The client, once its registered method, and no other, shows that it is the client."""
        method, certificate = client.method, claim.certificate
        if (claim.assertion is not None) != (method.name is MethodName.PRIVATE_KEY_JWT):
            raise TokenRefused("invalid_client", "CLIENT_METHOD")
        if claim.assertion is not None:
            return await self._signer(claim.assertion, client)
        if certificate is None:
            raise TokenRefused("invalid_client", "CERTIFICATE_MISSING")
        if not _is_certified(certificate, method, chain_is_good=chain_is_good):
            raise TokenRefused("invalid_client", "CERTIFICATE_FOREIGN")
        return client

    async def _signer(self, claimed: Claimed, client: KnownClient) -> KnownClient:
        """The client with the keys of which one has signed; a key set published by address is looked at again."""
        client = await self._published.fresh(client)
        if assertions.signed_by(claimed, client):
            return client
        renewed = await self._published.renewed(client)
        if renewed is client or not assertions.signed_by(claimed, renewed):
            raise TokenRefused("invalid_client", "ASSERTION_SIGNATURE")
        return renewed

    def _check(self, claim: Claim, client: KnownClient, address: str) -> Caller:
        now = seconds(self._clock())
        if client.state != "active":
            raise TokenRefused("invalid_client", "CLIENT_REVOKED")
        if claim.form.get("client_id", client.id) != client.id:
            raise TokenRefused("invalid_client", "CLIENT_MISMATCH")
        if client.method.binding is Binding.CERTIFICATE and claim.certificate is None:
            raise TokenRefused("invalid_client", "CERTIFICATE_MISSING")
        if claim.certificate and not claim.certificate.is_valid_at(now):
            raise TokenRefused("invalid_client", "CERTIFICATE_EXPIRED")
        assertion = None
        if claim.assertion:
            assertion = assertions.check(claim.assertion, client, issuer=self._issuer, now=now)
        return Caller(client, claim.form, assertion, claim.certificate, address)

    async def _enter(self, client: KnownClient, code: str) -> None:
        """On record once a minute per client and code; in the security log every time."""
        self._log.note(code, client=client.id)
        if self._refusals.passes(client.id, code):
            await self._record.on_refused(client, code)


def _form(headers: Headers, body: bytes) -> dict[str, str]:
    """The form, once it carries no more than one way to authenticate: a client assertion, or none but a client id."""
    types = [value for name, value in headers if name == b"content-type"]
    form = parse_form(types[0] if len(types) == 1 else b"", body)
    if any(name == b"authorization" for name, _ in headers) or not form.keys().isdisjoint(_OTHER_CREDENTIALS):
        raise TokenRefused("invalid_client", "CLIENT_METHOD")
    if ("client_assertion" in form) != (form.get("client_assertion_type") == ASSERTION_TYPE):
        raise TokenRefused("invalid_client", "ASSERTION_MISSING")
    return form


def _named(form: Mapping[str, str]) -> str:
    """The client that a request without an assertion names (RFC 8705 section 2)."""
    name = text(form.get("client_id"), CLIENT_ID)
    if name is None:
        raise TokenRefused("invalid_client", "ASSERTION_MISSING")
    return name


def _is_certified(certificate: Certificate, method: Method, *, chain_is_good: bool) -> bool:
    """RFC 8705 section 2.1: a good chain and the registered name; section 2.2: a registered certificate."""
    if method.certificate_name is not None:
        return chain_is_good and method.certificate_name.names(certificate)
    return certificate.thumbprint in method.certificates

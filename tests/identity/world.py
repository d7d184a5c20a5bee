"""A gateway's identity on a real database, two members, and a client that can be told to misbehave."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry
from sqlalchemy import insert, update

from gateway.database import Database, Query
from gateway.identity import (
    Admission,
    Challenge,
    DatabaseWindow,
    Identity,
    KnownClient,
    MemoryWindow,
    Method,
    Offer,
    ProofWindow,
    SecurityLog,
    Spending,
    Subject,
    TokenKey,
    TokenKeys,
    TokenRefused,
    TrustedProxy,
    add_key,
    register_client,
)
from gateway.identity.base64url import encode
from gateway.identity.endpoint import TokenAnswer
from gateway.identity.jws import PrivateKey, take_apart
from gateway.identity.revoked import revoke
from gateway.members.tables import alliance, member

ISSUER = "https://gateway.example"
RESOURCE = "https://gateway.example/v1"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM_TYPE = (b"content-type", b"application/x-www-form-urlencoded")
NOW = 1_800_000_000
MEMBER_DETAILS = [{"type": "alliance_member", "actions": ["draft", "sign"]}]


_ALGORITHMS = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519", "oct": "HS256"}


class MovableClock:
    """Milliseconds that tests set; starts half a second into `NOW`."""

    def __init__(self) -> None:
        self.ms = NOW * 1000 + 500

    def __call__(self) -> int:
        return self.ms

    def pass_seconds(self, count: float) -> None:
        self.ms += int(count * 1000)


@dataclass
class Terms:
    """What the agreements package would offer, by (member, agreement)."""

    offers: dict[tuple[str, str], Offer] = field(default_factory=dict)

    async def offer(self, member: str, agreement: str, now_s: int) -> Offer | None:
        return self.offers.get((member, agreement))


@dataclass
class Members:
    """What the members package would say."""

    admitted: dict[str, str] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)

    async def admission(self, member: str) -> Admission | None:
        alliance = self.admitted.get(member)
        return Admission(alliance, suspended=member in self.suspended) if alliance else None


@dataclass
class Record:
    """The operator's log, as a list."""

    database: Database
    granted: list[Subject] = field(default_factory=list)
    revoked: list[Subject] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    async def on_granted(self, subject: Subject, spending: Spending | None, sign: Callable[[], str]) -> str:
        if self.error:
            raise self.error
        async with self.database.transaction() as tx:
            if spending and not await spending.use(tx):
                return ""
        self.granted.append(subject)
        return sign()

    async def on_refused(self, client: KnownClient, code: str) -> None:
        if self.error:
            raise self.error
        self.refused.append((client.id, code))

    async def on_revoked(self, subject: Subject) -> None:
        if self.error:
            raise self.error
        async with self.database.transaction() as tx:
            if await revoke(tx, subject):
                self.revoked.append(subject)


class NothingPublished:
    """No client publishes its keys by address."""

    async def fresh(self, client: KnownClient) -> KnownClient:
        return client

    async def renewed(self, client: KnownClient) -> KnownClient:
        return client


@dataclass
class World:
    """Identity with the client `client` of member `bank`; `key` signs assertions, `dpop` proofs."""

    database: Database
    clock: MovableClock
    identity: Identity
    proofs: ProofWindow
    token_key: TokenKey
    client: str
    key: PrivateKey
    kid: str
    terms: Terms
    members: Members
    record: Record
    dpop: PrivateKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    @property
    def now(self) -> int:
        return self.clock.ms // 1000

    def another_process(self, proofs: ProofWindow | None = None, **given: Any) -> Identity:
        """A second gateway process over the same database and keys; more is given to `Identity`."""
        return build_identity(
            self.database, self.clock, self.token_key, self.terms, self.members, self.record, proofs, **given
        )

    def assertion(
        self,
        *,
        key: PrivateKey | None = None,
        header: Mapping[str, Any] | None = None,
        typ: str | None = "JWT",
        **changes: Any,
    ) -> str:
        """A good assertion with claims changed; a claim set to `...` is left out."""
        claims = {
            "iss": self.client, "sub": self.client, "aud": ISSUER, "iat": self.now, "exp": self.now + 60,
            "jti": secrets.token_urlsafe(16), **changes,
        }  # fmt: skip
        protected = {"kid": self.kid} if header is None else header
        return sign(claims, key or self.key, typ=typ, header=protected)

    def proof(
        self,
        method: str,
        url: str,
        *,
        nonce: str,
        token: str | None = None,
        key: PrivateKey | None = None,
        header: Mapping[str, Any] | None = None,
        typ: str = "dpop+jwt",
        **changes: Any,
    ) -> str:
        """A good proof with claims changed; a claim set to `...` is left out."""
        signer = key or self.dpop
        ath = {} if token is None else {"ath": encode(sha256(token.encode()).digest())}
        claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": self.now, "nonce": nonce}
        claims.update(ath)
        claims.update(changes)
        return sign(claims, signer, typ=typ, header={"jwk": signer.as_dict(private=False), **(header or {})})

    def token_nonce(self, identity: Identity | None = None) -> str:
        return (identity or self.identity).token_endpoint.next_nonce()

    async def ask(
        self,
        *,
        identity: Identity | None = None,
        details: Any = MEMBER_DETAILS,
        proof: str | None = None,
        form: Mapping[str, str | None] | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        body: bytes | None = None,
        peer: str = "",
        **assertion: Any,
    ) -> TokenAnswer:
        """One token request; form parameters set to None are left out."""
        server = identity or self.identity
        parameters: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_assertion_type": JWT_BEARER,
            "client_assertion": None if form and "client_assertion" in form else self.assertion(**assertion),
            "authorization_details": json.dumps(details),
            **(form or {}),
        }
        sent = {name: value for name, value in parameters.items() if value is not None}
        proof = proof or self.proof("POST", f"{ISSUER}/token", nonce=self.token_nonce(server))
        given = headers or [(b"content-type", b"application/x-www-form-urlencoded"), (b"dpop", proof.encode())]
        return await server.token_endpoint.answer(given, urlencode(sent).encode() if body is None else body, peer)

    def form(self, form: Mapping[str, str | None] | None = None, **assertion: Any) -> bytes:
        """The body of a request to an endpoint that wants no proof; parameters set to None are left out."""
        parameters = {
            "client_assertion_type": JWT_BEARER,
            "client_assertion": None if form and "client_assertion" in form else self.assertion(**assertion),
            **(form or {}),
        }
        return urlencode({name: value for name, value in parameters.items() if value is not None}).encode()

    async def revoke(
        self, token: str | None, *, identity: Identity | None = None, form: Mapping[str, str | None] | None = None
    ) -> None:
        """One revocation by this client."""
        endpoint = (identity or self.identity).revocation_endpoint
        await endpoint.answer([FORM_TYPE], self.form({"token": token, **(form or {})}))

    async def introspect(self, token: str | None, *, identity: Identity | None = None) -> dict[str, Any]:
        """What this client is told of a token."""
        endpoint = (identity or self.identity).introspection_endpoint
        answer = await endpoint.answer([FORM_TYPE], self.form({"token": token}))
        assert answer.media_type == "application/json"
        told: dict[str, Any] = json.loads(answer.body)
        return told

    async def introspect_signed(self, token: str) -> str:
        """The same as a JWT."""
        headers = [FORM_TYPE, (b"accept", b"application/token-introspection+jwt")]
        answer = await self.identity.introspection_endpoint.answer(headers, self.form({"token": token}))
        assert answer.media_type == "application/token-introspection+jwt"
        return answer.body.decode()

    async def suspend(self, name: str = "bank") -> None:
        """The member is suspended, on the roll and in its table."""
        self.members.suspended.add(name)
        async with self.database.transaction() as tx:
            suspended = update(member).where(member.c.id == name).values(state="suspended")
            assert await tx.run(Query(suspended)) == 1

    async def refusal(self, **request: Any) -> TokenRefused:
        """The refusal of a request that must be refused."""
        try:
            await self.ask(**request)
        except TokenRefused as refused:
            return refused
        raise AssertionError("a token was issued")

    async def token(self, **request: Any) -> str:
        """A fresh access token."""
        answer = await self.ask(**request)
        text: str = answer.body["access_token"]
        return text

    async def call(
        self,
        token: str,
        *,
        proof: str | None = None,
        method: str = "GET",
        path: str = "/v1/things",
        scheme: str = "DPoP",
        identity: Identity | None = None,
        **changes: Any,
    ) -> Subject:
        """One resource request with that token."""
        server = identity or self.identity
        changes = {"nonce": server.next_nonce(), "token": token, **changes}
        proof = proof or self.proof(method, f"https://gateway.example{path}", **changes)
        headers = [(b"authorization", f"{scheme} {token}".encode()), (b"dpop", proof.encode())]
        return await server.authenticate(method, path, headers)

    async def challenge(self, token: str, **request: Any) -> Challenge:
        """The challenge of a request that must be refused."""
        try:
            await self.call(token, **request)
        except Challenge as challenge:
            return challenge
        raise AssertionError("the request was accepted")


def sign(claims: Mapping[str, Any], key: Any, *, typ: str | None, header: Mapping[str, Any]) -> str:
    """Sign claims; those set to `...` are left out. `header` may hold anything, `alg` and `typ` included."""
    kept = {name: value for name, value in claims.items() if value is not ...}
    protected = {"alg": _ALGORITHMS[key.key_type], "typ": typ, **header}
    return sign_raw(json.dumps({k: v for k, v in protected.items() if v is not ...}), json.dumps(kept), key)


def sign_raw(header: str, payload: str, key: Any) -> str:
    """A compact JWS of any header text, signed by joserfc's algorithm of that name, else by one that the key has."""
    signed = f"{encode(header.encode())}.{encode(payload.encode())}"
    named = [model for name, model in JWSRegistry.algorithms.items() if f'"alg": "{name}"' in header]
    fitting = [model for model in named if model.name == "none" or model.key_type == key.key_type]
    model = fitting[0] if fitting else JWSRegistry.algorithms[_ALGORITHMS[key.key_type]]
    return f"{signed}.{encode(model.sign(signed.encode(), key))}"


def build_identity(
    database: Database,
    clock: MovableClock,
    token_key: TokenKey,
    terms: Terms,
    members: Members,
    record: Record,
    proofs: ProofWindow | None = None,
    issuer: str = ISSUER,
    resource: str = RESOURCE,
    **given: Any,
) -> Identity:
    return Identity(
        database,
        clock,
        TokenKeys(token_key),
        issuer=issuer,
        resource=resource,
        proofs=proofs or MemoryWindow(clock),
        assertions=DatabaseWindow(database, clock),
        terms=terms,
        membership=members,
        record=record,
        log=SecurityLog(),
        published=NothingPublished(),
        **given,
    )


async def admit(database: Database, members: Members, name: str) -> str:
    """An admitted member of the alliance `alliance`, written as its tables are."""
    async with database.transaction() as tx:
        if not members.admitted:
            await tx.run(Query(insert(alliance)), id="alliance", name="Alliance", created_at=0, environment="test")
        await tx.run(
            Query(insert(member)), id=name, alliance_id="alliance", name=name, uscc=name, industry="bank",
            state="admitted", version=1, created_at=0, revision=1, qualified_until=1, clearance=1, country="CN",
        )  # fmt: skip
    members.admitted[name] = "alliance"
    return name


async def build_world(database: Database, clock: MovableClock | None = None) -> World:
    """See `World`."""
    clock = clock or MovableClock()
    terms, members, record = Terms(), Members(), Record(database)
    token_key = TokenKey.of(Ed25519PrivateKey.generate())
    await admit(database, members, "bank")
    key = OKPKey.generate_key("Ed25519")
    async with database.transaction() as tx:
        client = await register_client(tx, member_id="bank", name="core banking", now_ms=clock())
        kid = await add_key(tx, client_id=client, jwk=key.as_dict(private=False), now_ms=clock())
    proofs = MemoryWindow(clock)
    identity = build_identity(database, clock, token_key, terms, members, record, proofs)
    return World(database, clock, identity, proofs, token_key, client, key, kid, terms, members, record)


PROXY = "10.0.0.7"
PROXY_SECRET = b"s" * 32


@dataclass
class Certified:
    """A client that comes with a certificate, through the proxy: a process that trusts it, and what it sends."""

    world: World
    client: str
    identity: Identity

    def headers(self, certificate: bytes | None, *, verdict: bytes = b"SUCCESS") -> list[tuple[bytes, bytes]]:
        """What the proxy sends along."""
        certified = [] if certificate is None else [(b"client-cert", certificate)]
        return [(b"gateway-proxy", PROXY_SECRET), (b"client-cert-verify", verdict), *certified]

    async def ask(
        self,
        certificate: bytes | None,
        *,
        peer: str = PROXY,
        verdict: bytes = b"SUCCESS",
        more: Sequence[tuple[bytes, bytes]] = (),
        form: Mapping[str, str | None] | None = None,
    ) -> TokenAnswer:
        """One token request; `form` changes parameters, those set to None are left out."""
        headers = [(b"content-type", b"application/x-www-form-urlencoded"), *self.headers(certificate, verdict=verdict)]
        usual = {"client_id": self.client, "client_assertion": None, "client_assertion_type": None}
        return await self.world.ask(
            identity=self.identity, headers=[*headers, *more], form={**usual, **(form or {})}, peer=peer
        )

    async def refusal(self, certificate: bytes | None, **request: Any) -> TokenRefused:
        """The refusal of a request that must be refused."""
        try:
            await self.ask(certificate, **request)
        except TokenRefused as refused:
            return refused
        raise AssertionError("a token was issued")

    async def token(self, certificate: bytes) -> str:
        """A fresh access token, bound to the certificate."""
        text: str = (await self.ask(certificate)).body["access_token"]
        assert "jkt" not in json.loads(take_apart(text, limit=10_000).payload)["cnf"]
        return text

    async def call(
        self,
        token: str,
        certificate: bytes | None,
        *,
        peer: str = PROXY,
        scheme: str = "Bearer",
        more: Sequence[tuple[bytes, bytes]] = (),
        identity: Identity | None = None,
    ) -> Subject:
        """One resource request."""
        headers = [(b"authorization", f"{scheme} {token}".encode()), *self.headers(certificate), *more]
        return await (identity or self.identity).authenticate("GET", "/v1/things", headers, peer)

    async def challenge(self, token: str, certificate: bytes | None, **request: Any) -> Challenge:
        """The challenge of a request that must be refused."""
        try:
            await self.call(token, certificate, **request)
        except Challenge as challenge:
            return challenge
        raise AssertionError("the request was accepted")


async def certified(world: World, method: Method, **given: Any) -> Certified:
    """A client of the bank's that is registered with this method, at a process behind a trusted proxy."""
    async with world.database.transaction() as tx:
        client = await register_client(tx, member_id="bank", name="by certificate", now_ms=world.clock(), method=method)
    proxy = TrustedProxy([ip_network(PROXY)], PROXY_SECRET)
    identity = world.another_process(proxy=proxy, mtls="https://gateway.example:9443", **given)
    return Certified(world, client, identity)


async def build_second_client(world: World) -> World:
    """The same gateway, seen by another client of the same member."""
    key = OKPKey.generate_key("Ed25519")
    async with world.database.transaction() as tx:
        client = await register_client(tx, member_id="bank", name="second", now_ms=world.clock())
        kid = await add_key(tx, client_id=client, jwk=key.as_dict(private=False), now_ms=world.clock())
    return replace(world, client=client, key=key, kid=kid, dpop=ECKey.generate_key("P-256"))

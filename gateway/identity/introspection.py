"""The introspection endpoint (RFC 7662), with signed answers (RFC 9701).

Who may ask: a resource server of the token's audience and alliance, and the client that the token was issued to.
Everybody else hears exactly what they would hear of a token that never was.

The answer tells what the token is good for at this instant: its grants are met once more with what the agreements
offer now, so what was terminated is gone, and nothing left means inactive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.canonical import canonical
from gateway.clock import Clock, seconds
from gateway.database import Database, Query
from gateway.identity import grants, jws
from gateway.identity.authentication import ClientAuthentication, Headers
from gateway.identity.clients import KnownClient
from gateway.identity.endpoint import Membership
from gateway.identity.grants import AgreementTerms, Grants
from gateway.identity.revocation import token_in
from gateway.identity.revoked import Standing, standing
from gateway.identity.security_log import SecurityLog
from gateway.identity.tables import resource_server
from gateway.identity.tokens import TokenInvalid, Tokens, Verified

PATH: Final = "/introspect"
JSON: Final = "application/json"
SIGNED: Final = "application/token-introspection+jwt"
ALGORITHMS: Final = ("Ed25519",)
"""What signed answers are signed with: the key that signs tokens."""

_INACTIVE: Final[Mapping[str, Any]] = {"active": False}
_TOLD: Final = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "cnf")
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_SERVES = Query(
    select(resource_server.c.resource).where(
        resource_server.c.client_id == bindparam("client"), resource_server.c.resource == bindparam("resource")
    )
)


@dataclass(frozen=True, slots=True)
class IntrospectionAnswer:
    """The body, in the media type that was asked for."""

    body: bytes
    media_type: str


class IntrospectionEndpoint:
    """See the module. One instance per process."""

    def __init__(
        self,
        database: Database,
        clients: ClientAuthentication,
        clock: Clock,
        tokens: Tokens,
        *,
        issuer: str,
        terms: AgreementTerms,
        membership: Membership,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._clients = clients
        self._clock = clock
        self._tokens = tokens
        self._issuer = issuer
        self._terms = terms
        self._membership = membership
        self._log = log

    async def answer(self, headers: Headers, body: bytes, peer: str = "") -> IntrospectionAnswer:
        """What the caller may know of the token; `TokenRefused` for one who is not authenticated, or names none."""
        async with self._clients.calling(headers, body, peer) as caller:
            token = token_in(caller.form)
            await self._clients.spend(caller)
            told = await self._told(caller.client, token)
            if not prefers_signed(headers):
                return IntrospectionAnswer(canonical(told), JSON)
            return IntrospectionAnswer(await self._signed(caller.client, told), SIGNED)

    async def _told(self, client: KnownClient, token: str) -> Mapping[str, Any]:
        now = seconds(self._clock())
        try:
            verified = await self._tokens.recognise(token.encode(), now)
        except TokenInvalid:
            return _INACTIVE
        if not await self._may_know(client, verified, now):
            self._log.note("INTROSPECTION_FOREIGN", client=client.id)
            return _INACTIVE
        left = await self._left(verified, now)
        if not left.agreements and not left.actions:
            return _INACTIVE
        claims = {name: verified.claims[name] for name in _TOLD}
        return {
            "active": True,
            "token_type": verified.subject.token_type,
            **claims,
            "authorization_details": left.details(),
        }

    async def _may_know(self, client: KnownClient, verified: Verified, now: int) -> bool:
        subject = verified.subject
        if client.id == subject.client:
            return True
        serves = await self._database.one(_SERVES, client=client.id, resource=verified.claims["aud"])
        if serves is None:
            return False
        admission = await self._membership.admission(client.member)
        return admission is not None and admission.alliance == subject.alliance and not admission.stopped(now)

    async def _left(self, verified: Verified, now: int) -> Grants:
        """What of its grants the token is good for now; nothing once it, its client or its key is over."""
        subject = verified.subject
        stands = await standing(self._database, subject)
        if stands not in (Standing.HOLDS, Standing.SUSPENDED):
            return Grants((), frozenset())
        return await grants.granted(
            Grants(subject.agreements, subject.actions),
            member=subject.member,
            terms=self._terms,
            now_s=now,
            suspended=stands is Standing.SUSPENDED,
        )

    async def _signed(self, client: KnownClient, told: Mapping[str, Any]) -> bytes:
        """RFC 9701 section 5: no `sub` and no `exp` of its own, so that it passes for no other token (section 8.1)."""
        await self._tokens.keys.follow()
        key = self._tokens.keys.current
        claims = {
            "iss": self._issuer,
            "aud": client.id,
            "iat": seconds(self._clock()),
            "token_introspection": dict(told),
        }
        header = {"kid": key.kid}
        return jws.sign_compact(canonical(claims), key.private, typ="token-introspection+jwt", header=header).encode()


def prefers_signed(headers: Headers) -> bool:
    """Whether `Accept` names the signed form, and JSON not more (RFC 9110 section 12.5.1); wildcards mean JSON."""
    accepted = ",".join(value.decode("latin-1") for name, value in headers if name == b"accept")
    weights = dict(_weighed(one) for one in accepted.split(","))
    return weights.get(SIGNED, 0.0) > 0 and weights[SIGNED] >= weights.get(JSON, 0.0)


def _weighed(media_range: str) -> tuple[str, float]:
    """A media range without its parameters, and its weight; 0 for one that is no number."""
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    weight = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
    return name, float(weight) if _WEIGHT.fullmatch(weight) else 0.0

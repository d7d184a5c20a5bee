"""Access tokens (RFC 9068): JWTs bound to a DPoP key or a client certificate, signed by the gateway's own Ed25519."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

import orjson

from gateway.errors import GatewayError, Invalid
from gateway.identity import base64url, jws
from gateway.identity.claims import numeric_date
from gateway.identity.grants import Grants
from gateway.identity.subject import Subject
from gateway.identity.token_keys import TYPE, TokenKeys

LIFETIME_SECONDS: Final = 300
TOKEN_BYTES: Final = 16 * 1024


class TokenInvalid(GatewayError):
    """The token is not one of ours, or its time is over."""

    def __init__(self, code: str) -> None:
        super().__init__(code, "The access token does not hold.")


class UnknownKey(TokenInvalid):
    """The token names a key that this process does not know; another may have made it since."""

    def __init__(self, kid: str) -> None:
        super().__init__("TOKEN_SIGNATURE")
        self.kid = kid


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A new token, which is its bearer's once it is signed. `sign` makes the secret half; `subject` may be logged."""

    sign: Callable[[], str]
    subject: Subject
    expires_in: int
    details: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that holds: whom it stands for, and all that it says."""

    subject: Subject
    claims: Mapping[str, Any]


class Tokens:
    """Mints and verifies. `issuer` and `resource` are the `iss` and the only `aud`."""

    def __init__(self, keys: TokenKeys, *, issuer: str, resource: str) -> None:
        self.keys = keys
        self._issuer = issuer
        self._resource = resource

    def mint(
        self,
        *,
        alliance: str,
        member: str,
        client: str,
        version: int,
        grants: Grants,
        now: int,
        jkt: str = "",
        certificate: str = "",
    ) -> Minted:
        """A token of at most 300 seconds that never outlives an agreement it names. `now` in epoch seconds.

        It is bound to a DPoP key (`jkt`) or to a certificate (`x5t#S256`), never to both and never to neither.
        """
        if bool(jkt) == bool(certificate):
            raise TokenInvalid("TOKEN_BINDING")
        key = self.keys.current
        jti = secrets.token_urlsafe(16)
        expires = min([now + LIFETIME_SECONDS, *([] if grants.ends_at is None else [grants.ends_at])])
        details = grants.details()
        subject = Subject(
            *(alliance, member, client, grants.agreements, grants.actions, _name(jti), jkt, expires, version),
            certificate=certificate,
            signed_by=key.kid,
        )
        claims = {
            "iss": self._issuer,
            "aud": self._resource,
            "sub": f"client:{client}",
            "client_id": client,
            "iat": now,
            "exp": expires,
            "jti": jti,
            "cnf": subject.confirmation,
            "authorization_details": details,
            "alliance": alliance,
            "member": member,
            "client_version": version,
        }
        sign = partial(key.signer.sign, orjson.dumps(claims))
        return Minted(sign=sign, subject=subject, expires_in=expires - now, details=details)

    async def recognise(self, token: bytes, now: int) -> Verified:
        """As `read`; a key that this process does not know is looked up first, in bounded numbers."""
        try:
            return self.read(token, now)
        except UnknownKey as unknown:
            await self.keys.follow(unknown.kid)
            return self.read(token, now)

    def read(self, token: bytes, now: int) -> Verified:
        """A token that we signed, `at+jwt`, for this resource, unexpired; else `TokenInvalid`."""
        try:
            parts = jws.take_apart(token, limit=TOKEN_BYTES)
            key = self.keys.find(parts.header.get("kid"))
            if jws.media_type(parts.header.get("typ")) != TYPE:
                raise TokenInvalid("TOKEN_TYPE")
            if key is None:
                raise UnknownKey(str(parts.header.get("kid")))
            if not jws.signature_holds(parts, key):
                raise TokenInvalid("TOKEN_SIGNATURE")
            claims = jws.json_object(parts.payload)
        except Invalid:
            raise TokenInvalid("TOKEN_MALFORMED") from None
        if claims.get("iss") != self._issuer or claims.get("aud") != self._resource:
            raise TokenInvalid("TOKEN_AUDIENCE")
        expires = numeric_date(claims.get("exp"))
        if expires is None or expires <= now:
            raise TokenInvalid("TOKEN_EXPIRED")
        return Verified(_subject(claims, int(expires), str(parts.header["kid"])), claims)


def _subject(claims: Mapping[str, Any], expires: int, kid: str) -> Subject:
    try:
        grants = Grants.of(claims["authorization_details"])
        return Subject(
            alliance=claims["alliance"],
            member=claims["member"],
            client=claims["client_id"],
            agreements=grants.agreements,
            actions=grants.actions,
            token=_name(claims["jti"]),
            expires_at=expires,
            client_version=claims["client_version"],
            signed_by=kid,
            **_bound(claims["cnf"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, GatewayError):
        raise TokenInvalid("TOKEN_CLAIMS") from None


def _bound(confirmation: Mapping[str, str]) -> dict[str, str]:
    """The one binding of a token; a token with none, or with more than one, is nobody's."""
    ((name, thumbprint),) = confirmation.items()
    if not thumbprint:
        raise TokenInvalid("TOKEN_CLAIMS")
    return {"jkt": thumbprint} if name == "jkt" else {"jkt": "", "certificate": {"x5t#S256": thumbprint}[name]}


def _name(jti: str) -> str:
    return base64url.encode(sha256(jti.encode()).digest())


class VerifiedTokens:
    """Subjects of verified tokens by the SHA-256 of the token: bounded, each valid until its token expires."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._subjects: dict[bytes, Subject] = {}

    def find(self, digest: bytes, now: int) -> Subject | None:
        """The subject, while its token lives."""
        subject = self._subjects.get(digest)
        if subject is not None and subject.expires_at <= now:
            del self._subjects[digest]
            return None
        return subject

    def keep(self, digest: bytes, subject: Subject) -> None:
        """Remember; the oldest makes room."""
        if len(self._subjects) >= self._capacity:
            del self._subjects[next(iter(self._subjects))]
        self._subjects[digest] = subject

    def forget(self) -> None:
        """Forget every token: each is verified anew when it comes again."""
        self._subjects.clear()

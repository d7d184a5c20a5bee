"""ID tokens of the company's provider (OpenID Connect Core section 3.1.3.7), under one pinned algorithm.

The text is taken apart by our own strict parser; joserfc checks the signature and Authlib the claims that it knows.
The issuer, the audience and the times are compared here, exactly: Authlib takes several audiences, and allows minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.errors import Invalid
from gateway.identity.jws import Parts, json_object, take_apart

ALGORITHMS: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""What a provider may be pinned to, with the type of its keys. Nothing symmetric, and not `none`."""

LEEWAY_S: Final = 10
_TOKEN_BYTES: Final = 16 * 1024
_OLDEST_S: Final = 300
_RSA_BITS: Final = 2048
_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_KINDS: Final[Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}


class IdTokenRefused(Exception):
    """The token does not hold; `code` says why, for the log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may have issued a token, for whom, under which algorithm."""

    issuer: str
    client_id: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class IdClaims:
    """What the provider says of the person. Times are seconds since the epoch; absent parts are empty."""

    subject: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    provider_session: str


def read_id_token(
    token: str, keys: Sequence[Mapping[str, Any]], audience: Audience, *, nonce: str, access_token: str, now: int
) -> IdClaims:
    """The claims of a token that holds, for this browser's nonce; else `IdTokenRefused`."""
    parts = _verified(token, keys, audience, types=(None, "JWT"))
    claims = _claims(parts, audience, now)
    if claims.get("nonce") != nonce:
        raise IdTokenRefused("ID_TOKEN_NONCE")
    if not _within(claims.get("exp"), now - LEEWAY_S + 1, None):
        raise IdTokenRefused("ID_TOKEN_EXPIRED")
    auth_time = claims.get("auth_time", -1)
    if not _within(auth_time, 0, now + LEEWAY_S):
        raise IdTokenRefused("ID_TOKEN_AUTH_TIME")
    known = CodeIDToken(
        claims, parts.header, None, {"nonce": nonce, "client_id": audience.client_id, "access_token": access_token}
    )
    try:
        known.validate(now=now, leeway=LEEWAY_S)
    except (JoseError, ValueError, TypeError, AttributeError):
        raise IdTokenRefused("ID_TOKEN_CLAIMS") from None
    amr = claims.get("amr", [])
    if not all(isinstance(method, str) for method in amr):
        raise IdTokenRefused("ID_TOKEN_CLAIMS")
    return IdClaims(_subject(claims), int(auth_time), _text(claims, "acr"), tuple(amr), _text(claims, "sid"))


def read_logout_token(
    token: str, keys: Sequence[Mapping[str, Any]], audience: Audience, *, now: int
) -> tuple[str, str, int]:
    """Subject, provider's session ('' where one is absent) and `iat` of a logout token (Back-Channel Logout 2.6)."""
    parts = _verified(token, keys, audience, types=(None, "JWT", "logout+jwt"))
    claims = _claims(parts, audience, now)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict) or "nonce" in claims:
        raise IdTokenRefused("LOGOUT_TOKEN_CLAIMS")
    if "exp" in claims and not _within(claims["exp"], now - LEEWAY_S + 1, None):
        raise IdTokenRefused("LOGOUT_TOKEN_CLAIMS")
    subject, session, jti = (_text(claims, name) for name in ("sub", "sid", "jti"))
    if not jti or not (subject or session):
        raise IdTokenRefused("LOGOUT_TOKEN_CLAIMS")
    return subject, session, int(claims["iat"])


def _verified(token: str, keys: Sequence[Mapping[str, Any]], audience: Audience, *, types: tuple[Any, ...]) -> Parts:
    try:
        parts = take_apart(token, limit=_TOKEN_BYTES)
    except Invalid:
        raise IdTokenRefused("ID_TOKEN_MALFORMED") from None
    if parts.header["alg"] != audience.algorithm:
        raise IdTokenRefused("ID_TOKEN_ALGORITHM")
    if parts.header.get("typ") not in types:
        raise IdTokenRefused("ID_TOKEN_TYPE")
    if not any(_signed_by(jwk, parts, audience.algorithm) for jwk in _candidates(keys, parts, audience.algorithm)):
        raise IdTokenRefused("ID_TOKEN_SIGNATURE")
    return parts


def _candidates(keys: Sequence[Mapping[str, Any]], parts: Parts, algorithm: str) -> list[Mapping[str, Any]]:
    kty = ALGORITHMS[algorithm]
    return [
        jwk
        for jwk in keys
        if jwk.get("kty") == kty
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) in (algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm)
        and jwk.get("crv") == _CURVES.get(kty)
        and jwk.get("kid") == parts.header.get("kid", jwk.get("kid"))
    ]


def _signed_by(jwk: Mapping[str, Any], parts: Parts, algorithm: str) -> bool:
    kty = ALGORITHMS[algorithm]
    public = {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(jwk.get(name), str)}
    name = "Ed25519" if algorithm == "EdDSA" else algorithm
    model = JWSRegistry(algorithms=[name]).get_alg(name)
    try:
        key = _KINDS[kty].import_key(public)
        if isinstance(key, RSAKey) and key.raw_value.key_size < _RSA_BITS:
            return False
        return model.verify(parts.signed, parts.signature, key)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return False


def _claims(parts: Parts, audience: Audience, now: int) -> dict[str, Any]:
    try:
        claims = json_object(parts.payload)
    except Invalid:
        raise IdTokenRefused("ID_TOKEN_MALFORMED") from None
    if claims.get("iss") != audience.issuer:
        raise IdTokenRefused("ID_TOKEN_ISSUER")
    if claims.get("aud") not in (audience.client_id, [audience.client_id]):
        raise IdTokenRefused("ID_TOKEN_AUDIENCE")
    if claims.get("azp", audience.client_id) != audience.client_id:
        raise IdTokenRefused("ID_TOKEN_AUDIENCE")
    if not _within(claims.get("iat"), now - _OLDEST_S, now + LEEWAY_S):
        raise IdTokenRefused("ID_TOKEN_TIME")
    return claims


def _within(value: object, least: int, most: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = _text(claims, "sub")
    if not subject:
        raise IdTokenRefused("ID_TOKEN_CLAIMS")
    return subject


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that can be kept and looked for: PostgreSQL holds no U+0000, and no database a lone surrogate."""
    value = claims.get(name, "")
    if not isinstance(value, str) or not value.isprintable():
        raise IdTokenRefused("ID_TOKEN_CLAIMS")
    return value

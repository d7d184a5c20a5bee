"""Client assertions (RFC 7523 section 3, RFC 10070, FAPI 2.0 section 5.3.2.1)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.errors import Invalid
from gateway.identity import jws
from gateway.identity.claims import CLIENT_ID, numeric_date, text
from gateway.identity.clients import KnownClient
from gateway.identity.refusals import TokenRefused

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_BYTES: Final = 8192
MAX_LIFETIME_SECONDS: Final = 300
MAX_AHEAD_SECONDS: Final = 10
_JTI: Final = range(20, 257)
"""Fewer than 20 printable characters cannot carry 128 bits (FAPI 2.0 section 5.4.1-4); a proof's 96 are RFC 9449's."""
_EXPLICIT_TYPE: Final = "client-authentication+jwt"
_TYPES: Final = (None, "jwt", _EXPLICIT_TYPE)


class Claimed(NamedTuple):
    """An assertion taken apart: the client it names, nothing verified."""

    client: str
    parts: jws.Parts
    claims: dict[str, Any]


class Assertion(NamedTuple):
    """An assertion that holds, still to be spent by its `jti` until the epoch second `until`."""

    jti: str
    until: int


def claimed(assertion: str) -> Claimed:
    """Take the assertion apart, to know whose keys to try."""
    try:
        parts = jws.take_apart(assertion, limit=ASSERTION_BYTES)
        claims = jws.json_object(parts.payload)
    except Invalid:
        raise _refused("ASSERTION_MALFORMED") from None
    client = text(claims.get("iss"), CLIENT_ID)
    if client is None:
        raise _refused("ASSERTION_ISSUER")
    return Claimed(client, parts, claims)


def signed_by(claimed: Claimed, client: KnownClient) -> bool:
    """Whether one of the client's active keys of that `kid` (of all its keys without one) and algorithm signed it.

    Keys that share a `kid` are tried in turn; a `kid` that is not the client's matches none.
    """
    kid = claimed.parts.header.get("kid")
    return any(jws.signature_holds(claimed.parts, key) for known, key in client.keys if kid in (None, known))


def check(assertion: Claimed, client: KnownClient, *, issuer: str, now: int) -> Assertion:
    """Every other rule, for an assertion whose signature holds: only then may the answer tell more."""
    header, claims = assertion.parts.header, assertion.claims
    types = (_EXPLICIT_TYPE,) if client.method.strict_typ else _TYPES
    if ("typ" in header and jws.media_type(header["typ"]) is None) or jws.media_type(header.get("typ")) not in types:
        raise _refused("ASSERTION_TYPE")
    if claims.get("sub") != client.id or claims.get("iss") != client.id:
        raise _refused("ASSERTION_SUBJECT")
    if claims.get("aud") != issuer:
        raise _refused("ASSERTION_AUDIENCE")
    jti = text(claims.get("jti"), _JTI)
    if jti is None:
        raise _refused("ASSERTION_JTI")
    return Assertion(jti, _check_times(claims, now))


def _check_times(claims: dict[str, Any], now: int) -> int:
    """`exp`, `iat` and `nbf`, each on its own; the second at which the assertion is dead.

    Without `iat` the lifetime counts from now, so `exp` is never more than 310 seconds ahead."""
    expires = numeric_date(claims.get("exp"))
    issued = numeric_date(claims.get("iat", now))
    begins = numeric_date(claims.get("nbf", now))
    if expires is None or issued is None or begins is None:
        raise _refused("ASSERTION_TIMES")
    if expires <= now:
        raise _refused("ASSERTION_EXPIRED")
    if issued > now + MAX_AHEAD_SECONDS:
        raise _refused("ASSERTION_ISSUED_AHEAD")
    if begins > now + MAX_AHEAD_SECONDS:
        raise _refused("ASSERTION_NOT_YET")
    if expires - issued > MAX_LIFETIME_SECONDS:
        raise _refused("ASSERTION_LIFETIME")
    return int(expires) + 1


def _refused(code: str) -> TokenRefused:
    return TokenRefused("invalid_client", code)

"""DPoP proofs: every check of RFC 9449 section 4.3."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from gateway.clock import Clock, seconds
from gateway.errors import GatewayError, Invalid
from gateway.identity import base64url, jws
from gateway.identity.claims import numeric_date, text
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.nonces import Nonces

PROOF_BYTES: Final = 8192
MAX_AGE_SECONDS: Final = 60
MAX_AHEAD_SECONDS: Final = 10
_KEYS_REMEMBERED: Final = 4096
_JTI: Final = range(12, 257)
"""The conformance suite sends one of 15; a poor `jti` harms nobody but the key that signed it."""


class ProofRefused(GatewayError):
    """The proof does not hold; `error` is `invalid_dpop_proof` or `use_dpop_nonce`."""

    def __init__(self, code: str, *, error: str = "invalid_dpop_proof") -> None:
        super().__init__(code, "The DPoP proof does not hold.")
        self.error = error


class Proof(NamedTuple):
    """A proof that holds, still to be reserved as (jkt, jti) until the epoch second `until`."""

    jkt: str
    jti: str
    until: int


class ProofCheck:
    """The checks of one server: its nonces, its clock, and the public keys it has parsed."""

    def __init__(self, nonces: Nonces, clock: Clock) -> None:
        self._nonces = nonces
        self._clock = clock
        self._keys: dict[bytes, tuple[str, PublicKey]] = {}

    def check(self, proof: bytes, *, method: str, target: str, ath: str | None) -> Proof:
        """The proof for `method` on `target` (absolute, no query); `ath` at the resource, None where no token is.

        Cheap checks come first, the signature last; it is verified every time, only parsed keys are remembered
        (by header segment, once a signature by them held).
        """
        head, _, rest = proof.partition(b".")
        body, _, signature = rest.partition(b".")
        if len(proof) > PROOF_BYTES or not (head and body and signature):
            raise ProofRefused("PROOF_MALFORMED")
        try:
            known = self._keys.get(head)
            algorithm, key = known or _key_of(jws.parse_header(head))
            claims = jws.json_object(base64url.decode(body))
            signed, signature = proof[: len(head) + 1 + len(body)], base64url.decode(signature)
        except Invalid:
            raise ProofRefused("PROOF_MALFORMED") from None
        checked = self._claims(claims, method, target, ath, key.thumbprint)
        if not jws.verifies(algorithm, signed, signature, key):
            raise ProofRefused("PROOF_SIGNATURE")
        if known is None:
            self._remember(head, (algorithm, key))
        return checked

    def _claims(self, claims: dict[str, Any], method: str, target: str, ath: str | None, jkt: str) -> Proof:
        issued, jti = numeric_date(claims.get("iat")), text(claims.get("jti"), _JTI)
        if issued is None or jti is None:
            raise ProofRefused("PROOF_CLAIMS")
        if claims.get("htm") != method:
            raise ProofRefused("PROOF_METHOD")
        if not same_target(claims.get("htu"), target):
            raise ProofRefused("PROOF_TARGET")
        if claims.get("ath") != ath:
            raise ProofRefused("PROOF_TOKEN")
        now = seconds(self._clock())
        if not now - MAX_AGE_SECONDS <= issued <= now + MAX_AHEAD_SECONDS:
            raise ProofRefused("PROOF_TIME")
        if ("exp" in claims or "nbf" in claims) and not _open_now(claims, now):
            raise ProofRefused("PROOF_TIME")
        if not self._nonces.accepts(claims.get("nonce")):
            raise ProofRefused("PROOF_NONCE", error="use_dpop_nonce")
        return Proof(jkt, jti, int(issued) + MAX_AGE_SECONDS + 2)

    def _remember(self, head: bytes, key: tuple[str, PublicKey]) -> None:
        if len(self._keys) >= _KEYS_REMEMBERED:
            del self._keys[next(iter(self._keys))]
        self._keys[head] = key


def _key_of(header: dict[str, Any]) -> tuple[str, PublicKey]:
    jwk = header.get("jwk")
    if jws.media_type(header.get("typ")) != "dpop+jwt" or not isinstance(jwk, dict):
        raise ProofRefused("PROOF_HEADER")
    algorithm, key = header["alg"], public_key(jwk)
    if not key.verifies(algorithm):
        raise ProofRefused("PROOF_ALGORITHM")
    return algorithm, key


def _open_now(claims: dict[str, Any], now: int) -> bool:
    """`exp` and `nbf` are not asked for, but honoured where a client sends them (RFC 7519 section 4.1)."""
    expires, begins = numeric_date(claims.get("exp", now + 1)), numeric_date(claims.get("nbf", now))
    return expires is not None and begins is not None and begins - MAX_AHEAD_SECONDS <= now < expires


def same_target(htu: object, target: str) -> bool:
    """Whether `htu` names the target, after RFC 3986 syntax- and scheme-based normalisation; query and fragment
    are left out of the comparison (RFC 9449 section 4.3)."""
    if htu == target:
        return True
    return isinstance(htu, str) and (normal := _normal(htu)) is not None and normal == _normal(target)


_PORTS: Final = {"http": 80, "https": 443}
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9\-._~]")


def _normal(url: str) -> tuple[str, str, int | None, str] | None:
    if len(url) > PROOF_BYTES or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or _BARE_PERCENT.search(parts.path):
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme], _normal_path(parts.path or "/")


def _normal_path(path: str) -> str:
    def settle(escaped: re.Match[str]) -> str:
        plain = unquote(escaped[0], encoding="latin-1")
        return plain if _UNRESERVED.fullmatch(plain) else escaped[0].upper()

    kept: list[str] = []
    segments = _ESCAPED.sub(settle, path).split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return quote("/".join(kept), safe="/%:@!$&'()*+,;=-._~")

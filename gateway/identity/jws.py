"""Compact JWS (RFC 7515), the one form that is accepted, by joserfc's algorithms under a closed list.

The text is taken apart here because joserfc lets the last of two equal JSON members win. Signatures are
checked by joserfc; ES256 by the same two calls of `cryptography`, without what joserfc looks up around them. No
key, key address or certificate is ever taken from a header, `crit` is refused whatever it names, and errors quote
nothing of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from json import JSONDecoder
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws as joserfc_jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.errors import Invalid
from gateway.identity import base64url
from gateway.identity.keys import ALGORITHMS, KeyRefused, PublicKey, public_key, thumbprint

__all__ = [
    "ALGORITHMS",
    "JwsRefused",
    "KeyRefused",
    "Parts",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "public_key",
    "sign_compact",
    "signature_holds",
    "take_apart",
    "thumbprint",
    "verify_compact",
]

PrivateKey = RSAKey | ECKey | OKPKey

HEADER_BYTES: Final = 4096
"""Cap of an encoded header: an RSA-4096 proof has about 1000; joserfc's own cap of 512 refuses every RSA proof."""

COMPACT_BYTES: Final = 128 * 1024
"""Cap of a whole compact JWS; callers set smaller ones."""

_SEGMENTS: Final = 3


class _Registry(joserfc_jws.JWSRegistry):
    max_header_length = HEADER_BYTES


class _ES256:
    """ES256 (RFC 7518 section 3.4). joserfc's own takes 10 microseconds more for each proof, to look up the curve's
    size and the key's operation anew; here a `PublicKey` has settled both."""

    _size: Final = 32
    _ecdsa: Final = ECDSA(SHA256())

    def verify(self, signed: bytes, signature: bytes, key: ECKey) -> bool:
        """Whether `signature` is r and s of 32 bytes each, made by the key over `signed`."""
        if len(signature) != 2 * self._size:
            return False
        r, s = int.from_bytes(signature[: self._size], "big"), int.from_bytes(signature[self._size :], "big")
        try:
            key.public_key.verify(encode_dss_signature(r, s), signed, self._ecdsa)
        except InvalidSignature:
            return False
        return True


_REGISTRY: Final = _Registry(algorithms=("ES256", "PS256", "Ed25519"))
_MODELS: Final[dict[str, Any]] = {
    "ES256": _ES256(),
    "PS256": _REGISTRY.get_alg("PS256"),
    "Ed25519": _REGISTRY.get_alg("Ed25519"),
    "EdDSA": _REGISTRY.get_alg("Ed25519"),
}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _refuse_constant(_: str) -> None:
    raise ValueError


_STRICT_JSON: Final = JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
"""Built once: `json.loads` with hooks builds a decoder per call, which costs as much as the parsing."""


class JwsRefused(Invalid):
    """The JWS is malformed, outside the profile, or its signature does not hold."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail, field="jws")


@dataclass(frozen=True, slots=True)
class Parts:
    """A compact JWS taken apart; nothing in it is verified yet."""

    header: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def verify_compact(
    jws: str, jwk: Mapping[str, Any], *, typ: str, algorithms: Collection[str] = ALGORITHMS, limit: int = COMPACT_BYTES
) -> bytes:
    """The payload of a compact JWS whose signature by `jwk` holds; else `JwsRefused`, or `KeyRefused` for the key.

    Guaranteed: exactly this `typ` (compared without case and without `application/`, RFC 7515 section 4.1.9), an
    algorithm that is in `algorithms` and belongs to the key, a public key that meets the rules, no `crit`.
    """
    key = public_key(jwk)
    parts = take_apart(jws, limit=limit)
    if media_type(parts.header.get("typ")) != media_type(typ):
        raise JwsRefused("jws_type", "The JWS has another typ.")
    if parts.header["alg"] not in algorithms or not signature_holds(parts, key):
        raise JwsRefused("jws_signature", "The signature does not hold.")
    return parts.payload


def sign_compact(payload: bytes, key: PrivateKey, *, typ: str, header: Mapping[str, Any] | None = None) -> str:
    """Sign with the key's own algorithm (ES256, PS256, Ed25519); `header` adds members such as `kid` or `jwk`."""
    return Signer(key, typ=typ, header=header).sign(payload)


class Signer:
    """Signs one payload after another with one key under one header, which is written once."""

    def __init__(self, key: PrivateKey, *, typ: str, header: Mapping[str, Any] | None = None) -> None:
        algorithm = public_key(key.as_dict(private=False)).algorithm
        protected = {"typ": typ, **(header or {}), "alg": algorithm}
        self._head = base64url.encode(orjson.dumps(protected)) + "."
        self._sign: Callable[[bytes], bytes] = partial(_REGISTRY.get_alg(algorithm).sign, key=key)
        if isinstance(key, OKPKey) and isinstance(key.private_key, Ed25519PrivateKey):
            self._sign = key.private_key.sign  # the signature as it is (RFC 8037 section 3.1)

    def sign(self, payload: bytes) -> str:
        """The compact JWS of a payload."""
        signed = self._head + base64url.encode(payload)
        return f"{signed}.{base64url.encode(self._sign(signed.encode()))}"


def take_apart(compact: str | bytes, *, limit: int) -> Parts:
    """Split and decode strictly. The header is an object with unique members, a string `alg` and no `crit`."""
    try:
        raw = compact.encode("ascii") if isinstance(compact, str) else compact
    except UnicodeEncodeError:
        raise JwsRefused("jws_malformed", "A compact JWS is ASCII.") from None
    if len(raw) > limit:
        raise JwsRefused("jws_too_large", f"The JWS exceeds {limit} bytes.")
    segments = raw.split(b".", _SEGMENTS)
    if len(segments) != _SEGMENTS or not all(segments):
        raise JwsRefused("jws_malformed", "A compact JWS has three parts.")
    head, body, signature = segments
    try:
        return Parts(
            parse_header(head), base64url.decode(body), raw[: len(head) + 1 + len(body)], base64url.decode(signature)
        )
    except JwsRefused:
        raise
    except Invalid:
        raise JwsRefused("jws_malformed", "A part of the JWS cannot be decoded.") from None


def parse_header(segment: bytes) -> dict[str, Any]:
    """A protected header within the caps; JSON members are unique, `crit` and `b64` are refused."""
    if len(segment) > HEADER_BYTES:
        raise JwsRefused("jws_too_large", f"The JWS header exceeds {HEADER_BYTES} bytes.")
    header = json_object(base64url.decode(segment))
    if "crit" in header or "b64" in header:
        raise JwsRefused("jws_critical", "No critical header extension is accepted.")
    if not isinstance(header.get("alg"), str):
        raise JwsRefused("jws_malformed", "The header names no algorithm.")
    return header


def json_object(text: bytes) -> dict[str, Any]:
    """Strict JSON that must be an object with unique members; else `JwsRefused`, quoting nothing.

    orjson lets the last of two equal members win. What it writes again byte for byte cannot have held two: so most
    texts, which are compact, are read by it alone, and only the others by the slower decoder that counts members.
    """
    try:
        value = orjson.loads(text)
        settled: bool = orjson.dumps(value) == text
    except (ValueError, TypeError):
        settled = False
    if not settled:
        value = _counted(text)
    if not isinstance(value, dict):
        raise JwsRefused("jws_malformed", "The JSON is no object.")
    return value


def _counted(text: bytes) -> Any:
    try:
        return _STRICT_JSON.decode(text.decode())
    except (ValueError, RecursionError):
        raise JwsRefused("jws_malformed", "The JSON is not acceptable.") from None


def signature_holds(parts: Parts, key: PublicKey) -> bool:
    """Whether the signature is this key's, by the algorithm that the header names and the key is pinned to."""
    algorithm = parts.header["alg"]
    return key.verifies(algorithm) and verifies(algorithm, parts.signed, parts.signature, key)


def verifies(algorithm: str, signed: bytes, signature: bytes, key: PublicKey) -> bool:
    """The verification alone; `algorithm` must already be one that the key is pinned to."""
    try:
        holds: bool = _MODELS[algorithm].verify(signed, signature, key.key)
        return holds
    except (JoseError, ValueError, TypeError, OverflowError):
        return False


def media_type(typ: object) -> str | None:
    """`typ` in comparable form, or None when it is no string."""
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None

"""Public keys of clients, members and proofs: which are accepted, and what names them.

Accepted: RSA of 2048 to 4096 bits, EC on P-256, OKP on Ed25519 (FAPI 2.0 section 5.4.1; own rule: no other curve).
A key is written in exactly one way (no leading zeros, no padding), so its RFC 7638 thumbprint is unique. No key is a
point of small order: under one, signatures that anybody can write down hold, and OpenSSL would take them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.canonical import canonical
from gateway.errors import Invalid
from gateway.identity.base64url import decode, encode

ALGORITHMS: Final = ("ES256", "PS256", "Ed25519", "EdDSA")
"""Every signature algorithm that the gateway accepts; `EdDSA` is the older name of `Ed25519` (RFC 9864)."""

_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_COORDINATE_BYTES: Final = 32
_ED25519_FIELD: Final = 2**255 - 19
_ORDER_EIGHT: Final = 2707385501144840649318225287225658788936804267575313519463743609750303021022
_SMALL_ORDERS: Final = frozenset((0, 1, _ED25519_FIELD - 1, _ORDER_EIGHT, _ED25519_FIELD - _ORDER_EIGHT))
"""The y of the eight points of Ed25519 whose order divides 8 (RFC 7748 section 7)."""
_RSA_BITS: Final = range(2048, 4097)
_RSA_EXPONENTS: Final = range(65537, 2**32)


class KeyRefused(Invalid):
    """The JWK breaks a rule for keys; `field` names the member."""

    def __init__(self, detail: str, *, field: str = "jwk") -> None:
        super().__init__("key_refused", detail, field=field, remedy="Send a public RSA >= 2048, P-256 or Ed25519 JWK.")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that passed the rules. `algorithm` is the only one it verifies (`Ed25519` also answers to `EdDSA`)."""

    algorithm: str
    thumbprint: str
    jwk: Mapping[str, str]
    key: RSAKey | ECKey | OKPKey

    def verifies(self, algorithm: str) -> bool:
        """Whether a JWS header may name this algorithm with this key."""
        return algorithm == self.algorithm or (algorithm == "EdDSA" and self.algorithm == "Ed25519")


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """Check and import a public JWK (RFC 7517); private, symmetric, weak, ambiguous ones raise `KeyRefused`."""
    if not _PRIVATE.isdisjoint(jwk):
        raise KeyRefused("The JWK holds private members.")
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise KeyRefused("The key type is not accepted.", field="kty")
    required: dict[str, str] = {}
    for name in _MEMBERS[kty]:
        value = jwk.get(name)
        if not isinstance(value, str):
            raise KeyRefused("A required member is missing or no string.", field=name)
        required[name] = value
    found = _imported(tuple(required.items()))
    _check_intent(jwk, found)
    return found


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The RFC 7638 SHA-256 thumbprint of an accepted key, base64url."""
    return public_key(jwk).thumbprint


def is_sound(point: bytes) -> bool:
    """Whether signatures under this encoded point of Ed25519 are one key's: of small order, they are anybody's."""
    y = int.from_bytes(point, "little") % 2**255
    return y < _ED25519_FIELD and y not in _SMALL_ORDERS


@lru_cache(maxsize=4096)
def _imported(members: tuple[tuple[str, str], ...]) -> PublicKey:
    jwk = dict(members)
    try:
        algorithm, key = _IMPORTS[jwk["kty"]](jwk)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        raise KeyRefused("The key is malformed.") from None
    return PublicKey(algorithm, encode(sha256(canonical(jwk)).digest()), jwk, key)


def _ec(jwk: dict[str, str]) -> tuple[str, ECKey]:
    if jwk["crv"] != "P-256":
        raise KeyRefused("The curve is not accepted.", field="crv")
    for name in ("x", "y"):
        _exactly(jwk, name, _COORDINATE_BYTES)
    return "ES256", ECKey.import_key(dict(jwk))


def _okp(jwk: dict[str, str]) -> tuple[str, OKPKey]:
    if jwk["crv"] != "Ed25519":
        raise KeyRefused("The curve is not accepted.", field="crv")
    if not is_sound(_exactly(jwk, "x", _COORDINATE_BYTES)):
        raise KeyRefused("The point is of small order, or written in a second way.", field="x")
    return "Ed25519", OKPKey.import_key(dict(jwk))


def _rsa(jwk: dict[str, str]) -> tuple[str, RSAKey]:
    modulus, exponent = _integer(jwk, "n"), _integer(jwk, "e")
    if modulus.bit_length() not in _RSA_BITS or modulus % 2 == 0:
        raise KeyRefused("An RSA modulus has 2048 to 4096 bits.", field="n")
    if exponent not in _RSA_EXPONENTS or exponent % 2 == 0:
        raise KeyRefused("The public exponent is odd, at least 65537 and below 2**32.", field="e")
    return "PS256", RSAKey.import_key(dict(jwk))


_Import = Callable[[dict[str, str]], tuple[str, RSAKey | ECKey | OKPKey]]
_IMPORTS: Final[dict[str, _Import]] = {
    "EC": _ec,
    "OKP": _okp,
    "RSA": _rsa,
}


def _exactly(jwk: dict[str, str], name: str, size: int) -> bytes:
    octets = decode(jwk[name])
    if len(octets) != size:
        raise KeyRefused(f"The member has exactly {size} bytes.", field=name)
    return octets


def _integer(jwk: dict[str, str], name: str) -> int:
    octets = decode(jwk[name])
    if not octets or octets[0] == 0:
        raise KeyRefused("A number has no leading zero bytes.", field=name)
    return int.from_bytes(octets, "big")


def _check_intent(jwk: Mapping[str, Any], key: PublicKey) -> None:
    """RFC 7517 section 4: `use`, `key_ops` and `alg`, where present, must allow verifying with our algorithm."""
    if jwk.get("use", "sig") != "sig":
        raise KeyRefused("The key is not for signatures.", field="use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused("The key is not for verifying.", field="key_ops")
    algorithm = jwk.get("alg", key.algorithm)
    if not isinstance(algorithm, str) or not key.verifies(algorithm):
        raise KeyRefused("The key names an algorithm that is not accepted.", field="alg")

"""Which public keys are accepted, and what names them."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key

from gateway.errors import Invalid
from gateway.identity import base64url
from gateway.identity.keys import KeyRefused, public_key, thumbprint

EC: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=False))
OKP: dict[str, Any] = dict(OKPKey.generate_key("Ed25519").as_dict(private=False))
RSA: dict[str, Any] = dict(RSAKey.generate_key(2048).as_dict(private=False))
RFC_7638: dict[str, Any] = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6"
    "qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap"
    "JzKnqDKgw",
    "e": "AQAB",
    "alg": "PS256",
    "kid": "2011-04-29",
}


def _small_rsa(bits: int) -> dict[str, Any]:
    modulus = (1 << bits - 1) | 1
    return {"kty": "RSA", "e": "AQAB", "n": base64url.encode(modulus.to_bytes(bits // 8, "big"))}


_P = 2**255 - 19
_ORDER_EIGHT = 2707385501144840649318225287225658788936804267575313519463743609750303021022
_SMALL = (0, 1, _P - 1, _ORDER_EIGHT, _P - _ORDER_EIGHT)


def _point(y: int, sign: int = 0) -> dict[str, Any]:
    """An Ed25519 key as it is encoded: y, and the sign of x in the highest bit (RFC 8032 section 5.1.2)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode((y | sign << 255).to_bytes(32, "little"))}


def test_the_example_of_rfc_7638_has_its_thumbprint() -> None:
    assert thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(("jwk", "algorithm"), [(EC, "ES256"), (OKP, "Ed25519"), (RSA, "PS256")])
def test_each_kind_of_key_is_pinned_to_one_algorithm(jwk: dict[str, Any], algorithm: str) -> None:
    key = public_key({**jwk, "kid": "a", "use": "sig", "key_ops": ["verify"], "alg": algorithm})
    assert key.algorithm == algorithm
    assert [name for name in ("ES256", "PS256", "Ed25519", "RS256", "HS256", "none") if key.verifies(name)] == [
        algorithm
    ]
    assert key.thumbprint == import_key(jwk).thumbprint()
    assert set(key.jwk) <= {"kty", "crv", "x", "y", "n", "e"}


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_an_rsa_key_within_its_sizes_is_accepted(bits: int) -> None:
    assert public_key(_small_rsa(bits)).algorithm == "PS256"


@pytest.mark.parametrize(
    "jwk",
    [
        _small_rsa(1024),
        _small_rsa(2040),
        _small_rsa(4104),
        {**RSA, "e": "Aw"},
        {**RSA, "e": "AQAA"},
        {**RSA, "e": "AQAAAAE"},
        {**RSA, "e": "AAEAAQ"},
        {**RSA, "n": "AA" + RSA["n"]},
        {**RSA, "n": RSA["n"] + "="},
        {**RSA, "n": "+" + RSA["n"][1:]},
        {**RSA, "alg": "RS256"},
        {**RSA, "alg": "PS384"},
        {**EC, "alg": "PS256"},
        {**EC, "alg": None},
        {**EC, "use": "enc"},
        {**EC, "use": None},
        {**EC, "key_ops": ["sign"]},
        {**EC, "key_ops": "verify"},
        {**EC, "crv": "P-384"},
        {**EC, "crv": "secp256k1"},
        {**EC, "x": EC["y"], "y": EC["x"]},
        {**EC, "x": "A" * 43},
        {**EC, "x": "AAAA" + EC["x"]},
        {**EC, "y": 7},
        {name: value for name, value in EC.items() if name != "y"},
        {**OKP, "crv": "X25519"},
        {**OKP, "crv": "Ed448"},
        {**OKP, "x": OKP["x"][:-1]},
        {**EC, "kty": "OKP"},
        {**EC, "kty": ["EC"]},
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        dict(ECKey.generate_key("P-256").as_dict(private=True)),
        dict(OKPKey.generate_key("Ed25519").as_dict(private=True)),
        dict(RSAKey.generate_key(2048).as_dict(private=True)),
        dict(OctKey.generate_key(256).as_dict(private=True)),
        {**EC, "d": ""},
        dict(ECKey.generate_key("P-384").as_dict(private=False)),
        dict(ECKey.generate_key("secp256k1").as_dict(private=False)),
    ],
)
def test_a_key_outside_the_rules_is_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises((KeyRefused, Invalid)) as refused:
        public_key(jwk)
    quoted = [value for value in jwk.values() if isinstance(value, str) and len(value) > 20]
    assert not any(value in str(refused.value) for value in quoted)


@pytest.mark.parametrize("text", ["", "AA", "AAA", "AAAA", "-_-_", "AAAAAA"])
def test_base64url_comes_back_as_it_was(text: str) -> None:
    assert base64url.encode(base64url.decode(text)) == text


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "AA==", "AB", "AAB", "+/+/", "AA AA", "AAAA\n", "é", "A.AA", "=", "AA=A"]
)
def test_base64url_has_one_text_per_value(text: str) -> None:
    with pytest.raises(Invalid):
        base64url.decode(text)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*_SMALL, _P, _P + 1, 2**255 - 1])
def test_a_point_under_which_signatures_are_anybodys_is_no_key(y: int, sign: int) -> None:
    """Of small order, or written in a second way: R the neutral point and S = 0 hold over many texts, or over all."""
    with pytest.raises(KeyRefused) as refused:
        public_key(_point(y, sign))
    assert refused.value.field == "x"


@pytest.mark.parametrize("y", [2, _P - 2])
def test_a_point_beside_them_is_one(y: int) -> None:
    assert public_key(_point(y)).algorithm == "Ed25519"

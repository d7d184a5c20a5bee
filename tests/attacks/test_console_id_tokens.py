"""Attacks on ID tokens and logout tokens: each claim and each signature on both sides of its limit."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.identity.base64url import encode
from gateway.identity.operators.id_token import (
    Audience,
    IdTokenRefused,
    read_id_token,
    read_logout_token,
)
from gateway.identity.operators.provider import Provider, ProviderSettings, ProviderUnavailable

NOW = 1_800_000_000
ISSUER, CLIENT, NONCE = "https://sign-in.company.example", "gateway", "n" * 43
ACCESS = "an access token"
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "a"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "a"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "a"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "a"}),
}
EVENT: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}


def audience(algorithm: str = "ES256") -> Audience:
    return Audience(ISSUER, CLIENT, algorithm)


def public(algorithm: str = "ES256") -> list[dict[str, Any]]:
    return [dict(KEYS[algorithm].as_dict(private=False))]


def signed(claims: dict[str, Any], algorithm: str = "ES256", key: Any = None, **header: Any) -> str:
    """A compact JWS under this algorithm, whatever its header says; None takes a member out."""
    said = {"alg": algorithm, "kid": "a", **header}
    head = encode(json.dumps({name: value for name, value in said.items() if value is not None}).encode())
    body = encode(json.dumps(claims).encode())
    name = "Ed25519" if algorithm == "EdDSA" else algorithm
    model = JWSRegistry(algorithms=[name]).get_alg(name)
    return f"{head}.{body}.{encode(model.sign(f'{head}.{body}'.encode(), key or KEYS[algorithm]))}"


def claims(**over: Any) -> dict[str, Any]:
    """What an honest provider says; None takes a claim out."""
    usual = {
        "iss": ISSUER, "aud": CLIENT, "sub": "ann", "nonce": NONCE, "iat": NOW, "exp": NOW + 300, "auth_time": NOW - 60,
        "acr": "phr", "amr": ["hwk"], "sid": "s1",
    }  # fmt: skip
    return {name: value for name, value in (usual | over).items() if value is not None}


def read(token: str, algorithm: str = "ES256", keys: list[dict[str, Any]] | None = None) -> Any:
    return read_id_token(
        token, keys or public(algorithm), audience(algorithm), nonce=NONCE, access_token=ACCESS, now=NOW
    )


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(IdTokenRefused) as refused:
        work()
    return refused.value.code


@pytest.mark.parametrize("algorithm", KEYS)
def test_an_honest_token_is_read_under_every_algorithm(algorithm: str) -> None:
    found = read(signed(claims(), algorithm), algorithm)
    assert (found.subject, found.acr, found.amr, found.auth_time) == ("ann", "phr", ("hwk",), NOW - 60)
    assert found.provider_session == "s1"


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"iss": "https://evil.example"}, "ID_TOKEN_ISSUER"),
        ({"iss": ISSUER + "/"}, "ID_TOKEN_ISSUER"),
        ({"iss": None}, "ID_TOKEN_ISSUER"),
        ({"iss": [ISSUER]}, "ID_TOKEN_ISSUER"),
        ({"aud": "another"}, "ID_TOKEN_AUDIENCE"),
        ({"aud": [CLIENT, "another"]}, "ID_TOKEN_AUDIENCE"),
        ({"aud": [CLIENT, "another"], "azp": CLIENT}, "ID_TOKEN_AUDIENCE"),
        ({"aud": None}, "ID_TOKEN_AUDIENCE"),
        ({"azp": "another"}, "ID_TOKEN_AUDIENCE"),
        ({"nonce": "m" * 43}, "ID_TOKEN_NONCE"),
        ({"nonce": None}, "ID_TOKEN_NONCE"),
        ({"exp": NOW - 10}, "ID_TOKEN_EXPIRED"),
        ({"exp": None}, "ID_TOKEN_EXPIRED"),
        ({"exp": str(NOW + 300)}, "ID_TOKEN_EXPIRED"),
        ({"exp": True}, "ID_TOKEN_EXPIRED"),
        ({"iat": NOW + 11}, "ID_TOKEN_TIME"),
        ({"iat": NOW - 301}, "ID_TOKEN_TIME"),
        ({"iat": None}, "ID_TOKEN_TIME"),
        ({"nbf": NOW + 60}, "ID_TOKEN_CLAIMS"),
        ({"auth_time": None}, "ID_TOKEN_AUTH_TIME"),
        ({"auth_time": NOW + 11}, "ID_TOKEN_AUTH_TIME"),
        ({"auth_time": "now"}, "ID_TOKEN_AUTH_TIME"),
        ({"sub": None}, "ID_TOKEN_CLAIMS"),
        ({"sub": ""}, "ID_TOKEN_CLAIMS"),
        ({"sub": 7}, "ID_TOKEN_CLAIMS"),
        ({"sub": "a\x00b"}, "ID_TOKEN_CLAIMS"),
        ({"sid": "\x00"}, "ID_TOKEN_CLAIMS"),
        ({"sid": "\ud800"}, "ID_TOKEN_CLAIMS"),
        ({"amr": "hwk"}, "ID_TOKEN_CLAIMS"),
        ({"amr": [7]}, "ID_TOKEN_CLAIMS"),
        ({"acr": 7}, "ID_TOKEN_CLAIMS"),
        ({"at_hash": "AAAA"}, "ID_TOKEN_CLAIMS"),
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_is_refused(over: dict[str, Any], code: str) -> None:
    assert refusal(lambda: read(signed(claims(**over)))) == code


@pytest.mark.parametrize(
    "over",
    [
        {"aud": [CLIENT]},
        {"azp": CLIENT},
        {"exp": NOW - 9},
        {"iat": NOW + 10},
        {"iat": NOW - 300},
        {"auth_time": NOW + 10},
        {"nbf": NOW + 10},
        {"at_hash": encode(sha256(ACCESS.encode()).digest()[:16])},
        {"acr": None, "amr": None, "sid": None},
    ],
    ids=str,
)
def test_a_claim_at_its_limit_is_accepted(over: dict[str, Any]) -> None:
    assert read(signed(claims(**over))).subject == "ann"


def test_no_signature_is_no_signature() -> None:
    head, body, _ = signed(claims()).split(".")
    none = encode(json.dumps({"alg": "none"}).encode())
    for token in (f"{none}.{body}.", f"{none}.{body}", f"{head}.{body}.", f"{none}.{body}.AAAA"):
        assert refusal(partial(read, token)) in ("ID_TOKEN_MALFORMED", "ID_TOKEN_ALGORITHM")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret(algorithm: str) -> None:
    """Algorithm confusion: an HMAC under the published key."""
    pem = KEYS["RS256"].as_pem(private=False)
    head = encode(json.dumps({"alg": algorithm, "kid": "a"}).encode())
    body = encode(json.dumps(claims()).encode())
    mac = hmac.new(pem, f"{head}.{body}".encode(), algorithm.replace("HS", "sha")).digest()
    for pinned in ("RS256", "ES256"):
        assert refusal(partial(read, f"{head}.{body}.{encode(mac)}", pinned)) == "ID_TOKEN_ALGORITHM"


def test_an_algorithm_that_is_not_the_pinned_one_is_refused() -> None:
    both = public("RS256") + public("ES256")
    assert refusal(lambda: read(signed(claims(), "RS256"), "ES256", both)) == "ID_TOKEN_ALGORITHM"
    assert refusal(lambda: read(signed(claims(), "RS256"), "PS256", public("RS256"))) == "ID_TOKEN_ALGORITHM"


def test_keys_of_the_token_itself_are_not_used() -> None:
    mine = ECKey.generate_key("P-256")
    headers: list[dict[str, Any]] = [
        {"jwk": mine.as_dict(private=False)}, {"jku": "https://evil.example/jwks"}, {"kid": "b"},
    ]  # fmt: skip
    for header in headers:
        assert refusal(partial(read, signed(claims(), key=mine, **header))) == "ID_TOKEN_SIGNATURE"


@pytest.mark.parametrize("over", [{"use": "enc"}, {"alg": "ES384"}, {"kid": "b"}, {"crv": "P-384"}, {"kty": "RSA"}])
def test_a_key_for_something_else_does_not_verify(over: dict[str, str]) -> None:
    assert refusal(lambda: read(signed(claims()), keys=[public()[0] | over])) == "ID_TOKEN_SIGNATURE"


@pytest.mark.filterwarnings("ignore")
def test_a_weak_key_does_not_verify() -> None:
    weak = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
    published = [dict(weak.as_dict(private=False)) | {"kid": "a"}]
    assert refusal(lambda: read(signed(claims(), "RS256", weak), "RS256", published)) == "ID_TOKEN_SIGNATURE"


def test_siblings_under_one_name_are_all_tried() -> None:
    twin = ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)
    assert read(signed(claims()), keys=[dict(twin), *public()]).subject == "ann"


@pytest.mark.parametrize(
    "header", [{"crit": ["b64"], "b64": False}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"alg": 7}]
)
def test_a_header_outside_the_profile_is_refused(header: dict[str, Any]) -> None:
    assert refusal(lambda: read(signed(claims(), **header))) in ("ID_TOKEN_MALFORMED", "ID_TOKEN_TYPE")


@pytest.mark.parametrize("token", ["", "..", "a.b.c", "x" * 20_000, "é.é.é", "e30.e30.e30", "{}"])
def test_malformed_tokens_are_refused(token: str) -> None:
    assert refusal(lambda: read(token)) == "ID_TOKEN_MALFORMED"


def test_a_member_twice_is_refused() -> None:
    head = encode(b'{"alg":"ES256","kid":"a"}')
    body = encode(json.dumps(claims()).encode()[:-1] + b',"sub":"admin"}')
    model = JWSRegistry(algorithms=["ES256"]).get_alg("ES256")
    token = f"{head}.{body}.{encode(model.sign(f'{head}.{body}'.encode(), KEYS['ES256']))}"
    assert refusal(lambda: read(token)) == "ID_TOKEN_MALFORMED"


def logout(**over: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": CLIENT, "iat": NOW, "jti": "1", "sub": "ann", "sid": "s1", "events": EVENT}
    return {name: value for name, value in (usual | over).items() if value is not None}


def test_a_logout_token_is_read() -> None:
    found = read_logout_token(signed(logout(), typ="logout+jwt"), public(), audience(), now=NOW)
    assert found == ("ann", "s1", NOW)


@pytest.mark.parametrize(
    "over",
    [
        {"events": None}, {"events": {}}, {"events": {"other": {}}}, {"nonce": "n"}, {"jti": None},
        {"sub": None, "sid": None}, {"iss": "https://evil.example"}, {"aud": "another"}, {"iat": NOW - 301},
        {"iat": None}, {"exp": NOW - 11},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_logout_token_ends_nothing(over: dict[str, Any]) -> None:
    """An ID token least of all."""
    with pytest.raises(IdTokenRefused):
        read_logout_token(signed(logout(**over)), public(), audience(), now=NOW)
    with pytest.raises(IdTokenRefused):
        read_logout_token(signed(claims()), public(), audience(), now=NOW)


async def test_visitors_do_not_make_us_ask_a_provider_that_is_away_again_and_again() -> None:
    """A logout token needs no sign-in, so anybody can send one; each question would hold a thread for seconds."""
    asked = 0
    now = NOW * 1000

    class Away(Provider):
        async def metadata(self) -> Mapping[str, Any]:
            nonlocal asked
            asked += 1
            raise ProviderUnavailable

    settings = ProviderSettings(issuer=ISSUER, client_id=CLIENT, algorithm="ES256", redirect_uri=f"{ISSUER}/back")
    provider = Away(settings, lambda: now)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            await provider.keys()
    assert asked == 1
    now += 10_000
    with pytest.raises(ProviderUnavailable):
        await provider.keys()
    assert asked == 2

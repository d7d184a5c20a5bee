"""The 14 modules of the OpenID Foundation's FAPI 2.0 client-credentials profile, re-created, in their order.

Each test is named after its module without the prefix `fapi2-security-profile-final-`. The server is
`gateway serve`; what is called with the token is a read of records, so that the seam answers too.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.identity.base64url import decode, encode
from tests.conformance.suite import Server, Suite, check_error
from tests.identity.world import sign_raw

MODULES = (
    "discovery-end-point-verification",
    "happy-flow",
    "access-token-type-header-case-sensitivity",
    "check-dpop-proof-nbf-exp",
    "ensure-dpopproof-with-iat-10seconds-before-succeeds",
    "ensure-dpopproof-with-iat-10seconds-after-succeeds",
    "ensure-client-id-in-token-endpoint",
    "ensure-holder-of-key-required",
    "ensure-signed-client-assertion-with-RS256-fails",
    "ensure-client-assertion-in-token-endpoint",
    "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails",
    "ensure-client-assertion-with-wrong-aud-fails",
    "ensure-client-assertion-with-no-sub-fails",
    "dpop-negative-tests",
)
ALLOWED = {"PS256", "ES256", "EdDSA", "Ed25519"}
"""FAPI 2.0 section 5.4.1, with the newer name of EdDSA on this curve (RFC 9864)."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    serving = Server()
    asyncio.run(serving.found())
    with serving:
        yield serving


@pytest.fixture
def suite(server: Server) -> Iterator[Suite]:
    with httpx.Client(timeout=20) as http:
        yield Suite.against(server, http)


def test_discovery_end_point_verification(suite: Suite) -> None:
    url = f"{suite.base}/.well-known/oauth-authorization-server"
    answer = suite.http.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["issuer"] == url.removesuffix("/.well-known/oauth-authorization-server")
    assert said["token_endpoint"] == suite.token_endpoint
    assert said["grant_types_supported"] == ["client_credentials"]
    assert "private_key_jwt" in said["token_endpoint_auth_methods_supported"]
    assert set(said["token_endpoint_auth_methods_supported"]) <= {
        "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth",
    }  # fmt: skip
    for list_of in ("dpop_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported"):
        assert {"PS256", "ES256", "EdDSA"} <= set(said[list_of]) <= ALLOWED
    keys = suite.http.get(said["jwks_uri"]).json()["keys"]
    assert keys
    assert all(key["kid"] and key["use"] == "sig" and key["alg"] in ALLOWED and "d" not in key for key in keys)


def test_happy_flow(suite: Suite) -> None:
    for client in (suite.client, suite.client2):
        answer = suite.ask(client=client)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body["token_type"] == "DPoP"
        assert 0 < body["expires_in"] <= 300
        assert "refresh_token" not in body
        token = jwt.decode(body["access_token"], suite.keys(), algorithms=["Ed25519"])
        assert token.header["typ"] == "at+jwt"
        assert token.claims["cnf"] == {"jkt": suite.dpop.thumbprint()}
        assert token.claims["authorization_details"] == body["authorization_details"]
        assert len(token.claims["jti"]) * 6 >= 128
    read = suite.call(suite.token())
    assert read.status_code == 200, read.text
    assert read.headers["content-type"] == "application/json"
    assert len(read.json()["records"]) == 2


def test_access_token_type_header_case_sensitivity(suite: Suite) -> None:
    assert suite.call(suite.token(), scheme="dpOp").status_code == 200


def test_check_dpop_proof_nbf_exp(suite: Suite) -> None:
    times: dict[str, Any] = {"nbf": int(time.time()), "exp": int(time.time()) + 300}
    assert suite.call(suite.token(proof=times), **times).status_code == 200


def test_ensure_dpopproof_with_iat_10seconds_before_succeeds(suite: Suite) -> None:
    issued: dict[str, Any] = {"iat": int(time.time()) - 10}
    assert suite.call(suite.token(proof=issued), **issued).status_code == 200


def test_ensure_dpopproof_with_iat_10seconds_after_succeeds(suite: Suite) -> None:
    issued: dict[str, Any] = {"iat": int(time.time()) + 10}
    assert suite.call(suite.token(proof=issued), **issued).status_code == 200


def test_ensure_client_id_in_token_endpoint(suite: Suite) -> None:
    """`client_id` and assertion of the second client, signed by the first one's key."""
    crossed = suite.ask(client=suite.client2, key=suite.client.key, form={"client_id": suite.client2.id})
    check_error(crossed, ["invalid_client", "invalid_grant"])
    check_error(suite.ask(form={"client_id": suite.client2.id}), ["invalid_client", "invalid_grant"])
    assert suite.ask(form={"client_id": suite.client.id}).status_code == 200


def test_ensure_holder_of_key_required(suite: Suite) -> None:
    """The module's look at TLS versions and ciphers is made on a real proxy, in tests/services/test_nginx.py."""
    check_error(suite.ask(with_proof=False), ["invalid_request", "invalid_grant", "invalid_dpop_proof"])


def test_ensure_signed_client_assertion_with_rs256_fails(suite: Suite) -> None:
    assert suite.ask(alg="PS256").status_code == 200
    check_error(suite.ask(alg="RS256"), ["invalid_client"])


def test_ensure_client_assertion_in_token_endpoint(suite: Suite) -> None:
    missing = {"client_assertion": None, "client_assertion_type": None, "client_id": suite.client.id}
    check_error(suite.ask(form=missing), ["invalid_client", "invalid_request"])


def test_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(suite: Suite) -> None:
    over = int(time.time()) - 300
    check_error(suite.ask(iat=over - 60, exp=over), ["invalid_client", "invalid_request"])
    check_error(suite.ask(exp=over), ["invalid_client", "invalid_request"])


def test_ensure_client_assertion_with_wrong_aud_fails(suite: Suite) -> None:
    check_error(suite.ask(aud="https://elsewhere.example/api/userinfo"), ["invalid_client", "invalid_request"])


def test_ensure_client_assertion_with_no_sub_fails(suite: Suite) -> None:
    check_error(suite.ask(sub=...), ["invalid_client", "invalid_request"])


def _without_signature(proof: str) -> str:
    return proof.rpartition(".")[0]


def _without_alg(proof: str) -> str:
    head, _, rest = proof.partition(".")
    return f"{encode(decode(head).replace(b'alg', b'alg2'))}.{rest}"


def _with_another_signature(proof: str) -> str:
    head, _, signature = proof.rpartition(".")
    return f"{head}.{encode(bytes(byte ^ 0x5A for byte in decode(signature)))}"


def _unsigned(proof: str) -> str:
    return f"{encode(json.dumps({'alg': 'none', 'typ': 'dpop+jwt'}).encode())}.{proof.split('.')[1]}."


def test_dpop_negative_tests(suite: Suite) -> None:
    """The published sequence. `iat` an hour away is a warning there where nonces are used; here it is refused."""
    token = suite.token()
    target = suite.url.partition("?")[0]
    private = suite.dpop.as_dict(private=True)
    hour = 3600
    rsa = suite.client.key
    bound_to_rsa = suite.token(proof={"key": rsa})
    assert suite.call(bound_to_rsa, key=rsa).status_code == 200
    steps: list[tuple[str, Callable[[], httpx.Response], bool]] = [
        ("a header name all in capitals", lambda: suite.call(token, header_name="DPOP"), True),
        ("more than one proof", lambda: suite.call(token, proofs=2), False),
        ("no well-formed JWT", lambda: suite.call(token, after=_without_signature), False),
        ("no typ", lambda: suite.call(token, header={"typ": ...}), False),
        ("no alg", lambda: suite.call(token, after=_without_alg), False),
        ("no jwk", lambda: suite.call(token, header={"jwk": ...}), False),
        *((f"no {claim}", _changed(suite, token, **{claim: ...}), False) for claim in ("jti", "htm", "htu", "iat")),
        ("no ath", lambda: suite.call(token, ath=...), False),
        ("another typ", lambda: suite.call(token, header={"typ": "dpop+jwt+other"}), False),
        ("RS256", lambda: suite.call(bound_to_rsa, key=rsa, header={"alg": "RS256"}), False),
        ("alg none", lambda: suite.call(token, after=_unsigned), False),
        ("another signature", lambda: suite.call(token, after=_with_another_signature), False),
        ("a private key", lambda: suite.call(token, header={"jwk": private}), False),
        ("another htm", lambda: suite.call(token, htm="PUT"), False),
        ("htu with query and fragment", lambda: suite.call(token, htu=f"{target}?all=doors#open"), True),
        ("htu without query", lambda: suite.call(token, htu=target), True),
        ("another htu", lambda: suite.call(token, htu=f"{target}elsewhere"), False),
        ("iat an hour ahead", lambda: suite.call(token, iat=int(time.time()) + hour), False),
        ("iat an hour ago", lambda: suite.call(token, iat=int(time.time()) - hour), False),
        ("first use of a jti", lambda: suite.call(token, jti="aB3dE6gH9jK2mN5"), True),
        ("second use of the jti", lambda: suite.call(token, jti="aB3dE6gH9jK2mN5"), False),
        ("another ath", lambda: suite.call(token, ath=encode(b"x" * 32)), False),
        ("another key", lambda: suite.call(token, key=ECKey.generate_key("P-256")), False),
        ("more in header and claims", lambda: suite.call(token, header={"tx_id": 1}, tx_id_key=1), True),
        ("scheme and host in capitals", lambda: suite.call(token, htu=target.replace("http", "HTTP", 1)), True),
        ("the port written out", lambda: suite.call(token, htu=target), True),
        ("no proof", lambda: suite.call(token, proofs=0), False),
        ("no proof and Bearer", lambda: suite.call(token, proofs=0, scheme="Bearer"), False),
        ("a correct proof", lambda: suite.call(token), True),
    ]
    said = {name: call().status_code for name, call, _ in steps}
    assert {name: status in (200, 201) for name, status in said.items()} == {name: good for name, _, good in steps}
    assert {said[name] for name, _, good in steps if not good} <= {400, 401}
    assert len(said) == 32


def _changed(suite: Suite, token: str, **claims: Any) -> Callable[[], httpx.Response]:
    return lambda: suite.call(token, **claims)


def test_these_are_the_modules_in_their_order() -> None:
    """Nothing is left out, and nothing is out of order."""
    here = [name for name in vars(sys.modules[__name__]) if name.startswith("test_")]
    named = [f"test_{re.sub('[-]', '_', module).lower()}" for module in MODULES]
    assert here[: len(MODULES)] == named


def test_a_proof_is_signed_by_the_algorithm_that_it_names(suite: Suite) -> None:
    """What the module above sends as RS256 is a good RS256 signature, so that it is the name that is refused."""
    proof = suite.proof("GET", suite.url, token="t", key=suite.client.key, header={"alg": "RS256"})
    head, payload, _ = proof.split(".")
    assert sign_raw(decode(head).decode(), decode(payload).decode(), suite.client.key) == proof


# ── modules of the pushed-authorization part that say something about assertions at the token endpoint too ──────


def test_par_array_audience_fails(suite: Suite) -> None:
    for audience in ([suite.base], [suite.base, "https://elsewhere.example"], []):
        check_error(suite.ask(aud=audience), ["invalid_client"])


def test_par_token_endpoint_as_audience_fails(suite: Suite) -> None:
    check_error(suite.ask(aud=suite.token_endpoint), ["invalid_client"])


def test_par_nbf_over_60_seconds_in_the_future_fails(suite: Suite) -> None:
    ahead = int(time.time()) + 61
    ahead_in: list[dict[str, Any]] = [{"nbf": ahead}, {"iat": ahead}, {"nbf": ahead, "iat": ahead}]
    for times in ahead_in:
        check_error(suite.ask(exp=ahead + 60, **times), ["invalid_client"])


def test_par_nbf_8_seconds_in_the_future_is_accepted(suite: Suite) -> None:
    ahead = int(time.time()) + 8
    assert suite.ask(nbf=ahead, iat=ahead, exp=ahead + 60).status_code == 200

"""DPoP proofs at both servers: each check of RFC 9449 section 4.3, on either side of its limit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.identity import TokenRefused, jws
from gateway.identity.jws import PrivateKey
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import PROOF_BYTES, ProofCheck, ProofRefused, same_target
from tests.identity.world import ISSUER, MovableClock, World, sign_raw

NOW = 1_800_000_000
TOKEN_URL = f"{ISSUER}/token"
RFC_9449_FIGURE_2 = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs"
    "cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2"
    "In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2Vu"
    "IiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZ"
    "T3Lg"
)

KEYS: dict[str, PrivateKey] = {
    "ES256": ECKey.generate_key("P-256"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
    "PS256-2048": RSAKey.generate_key(2048),
    "PS256-3072": RSAKey.generate_key(3072),
    "PS256-4096": RSAKey.generate_key(4096),
}
SAME_EVERYWHERE: list[tuple[dict[str, Any], str]] = [
    ({"htm": "get"}, "PROOF_METHOD"),
    ({"htm": "PUT"}, "PROOF_METHOD"),
    ({"htm": ...}, "PROOF_METHOD"),
    ({"htm": ["GET", "POST"]}, "PROOF_METHOD"),
    ({"htu": ...}, "PROOF_TARGET"),
    ({"htu": "https://elsewhere.example/token"}, "PROOF_TARGET"),
    ({"htu": "http://gateway.example/token"}, "PROOF_TARGET"),
    ({"htu": "/token"}, "PROOF_TARGET"),
    ({"htu": 7}, "PROOF_TARGET"),
    ({"iat": ...}, "PROOF_CLAIMS"),
    ({"iat": str(NOW)}, "PROOF_CLAIMS"),
    ({"iat": True}, "PROOF_CLAIMS"),
    ({"iat": NOW - 61}, "PROOF_TIME"),
    ({"iat": NOW + 11}, "PROOF_TIME"),
    ({"exp": NOW}, "PROOF_TIME"),
    ({"exp": "never"}, "PROOF_TIME"),
    ({"nbf": NOW + 11}, "PROOF_TIME"),
    ({"nbf": None}, "PROOF_TIME"),
    ({"jti": ...}, "PROOF_CLAIMS"),
    ({"jti": "a" * 11}, "PROOF_CLAIMS"),
    ({"jti": "a" * 257}, "PROOF_CLAIMS"),
    ({"jti": "\ud800" * 16}, "PROOF_CLAIMS"),
    ({"jti": 1234567890123456}, "PROOF_CLAIMS"),
    ({"nonce": ...}, "PROOF_NONCE"),
    ({"nonce": "guessed"}, "PROOF_NONCE"),
    ({"nonce": "é"}, "PROOF_NONCE"),
    ({"nonce": 7}, "PROOF_NONCE"),
    ({"typ": "JWT"}, "PROOF_HEADER"),
    ({"typ": "at+jwt"}, "PROOF_HEADER"),
    ({"header": {"typ": ...}}, "PROOF_HEADER"),
    ({"header": {"jwk": ...}}, "PROOF_HEADER"),
    ({"header": {"jwk": "key"}}, "PROOF_HEADER"),
    ({"header": {"jwk": KEYS["ES256"].as_dict(private=True)}}, "PROOF_MALFORMED"),
    ({"header": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}}}, "PROOF_MALFORMED"),
    ({"header": {"jwk": {"kty": "oct"}}}, "PROOF_MALFORMED"),
    ({"header": {"jwk": {}}}, "PROOF_MALFORMED"),
    ({"header": {"alg": "none"}}, "PROOF_MALFORMED"),
    ({"header": {"alg": "HS256"}, "raw_key": OctKey.import_key("secret-secret-secret")}, "PROOF_ALGORITHM"),
    ({"header": {"alg": "RS256"}, "key": KEYS["PS256-2048"]}, "PROOF_ALGORITHM"),
    ({"header": {"alg": "PS384"}, "key": KEYS["PS256-2048"]}, "PROOF_ALGORITHM"),
    ({"header": {"alg": 7}}, "PROOF_MALFORMED"),
    ({"header": {"alg": ...}}, "PROOF_MALFORMED"),
    ({"header": {"crit": ["exp"]}}, "PROOF_MALFORMED"),
    ({"header": {"crit": []}}, "PROOF_MALFORMED"),
    ({"header": {"b64": False}}, "PROOF_MALFORMED"),
    ({"header": {"jwk": KEYS["Ed25519"].as_dict(private=False)}, "key": KEYS["ES256"]}, "PROOF_ALGORITHM"),
    ({"header": {"jwk": ECKey.generate_key("P-256").as_dict(private=False)}}, "PROOF_SIGNATURE"),
    ({"header": {"kid": "k" * 4096}}, "PROOF_MALFORMED"),
]


def _error(code: str) -> str:
    return "use_dpop_nonce" if code == "PROOF_NONCE" else "invalid_dpop_proof"


def _proof(world: World, method: str, url: str, nonce: str, changes: dict[str, Any], token: str | None = None) -> str:
    changes = {"nonce": nonce, "token": token, **changes}
    raw_key = changes.pop("raw_key", None)
    proof = world.proof(method, url, **changes) if raw_key is None else ""
    if raw_key is not None:
        header = {"alg": "HS256", "typ": "dpop+jwt", "jwk": world.dpop.as_dict(private=False)}
        claims = {"jti": "a" * 16, "htm": method, "htu": url, "iat": NOW, "nonce": nonce}
        proof = sign_raw(json.dumps(header), json.dumps(claims), raw_key)
    return proof


@pytest.mark.parametrize(("changes", "code"), SAME_EVERYWHERE)
async def test_a_bad_proof_gets_no_token(world: World, changes: dict[str, Any], code: str) -> None:
    proof = _proof(world, "POST", TOKEN_URL, world.token_nonce(), changes)
    refused = await world.refusal(proof=proof)
    assert (refused.code, refused.error, refused.status) == (code, _error(code), 400)
    assert refused.nonce == world.token_nonce()


@pytest.mark.parametrize(("changes", "code"), SAME_EVERYWHERE)
async def test_a_bad_proof_opens_no_resource(world: World, changes: dict[str, Any], code: str) -> None:
    token = await world.token()
    proof = _proof(world, "GET", "https://gateway.example/v1/things", world.identity.next_nonce(), changes, token)
    challenge = await world.challenge(token, proof=proof)
    assert (challenge.reason, challenge.error) == (code, _error(code))
    await world.call(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW - 60},
        {"iat": NOW + 10},
        {"iat": NOW - 0.5},
        {"exp": NOW + 1},
        {"nbf": NOW + 10},
        {"jti": "a" * 12},
        {"jti": "a" * 256},
        {"typ": "DPOP+JWT"},
        {"typ": "application/dpop+jwt"},
        {"header": {"kid": "any", "x5t": "ignored"}},
        {"extra": [1, {"a": None}]},
        *({"key": key} for key in KEYS.values()),
        {"key": KEYS["Ed25519"], "header": {"alg": "Ed25519"}},
    ],
)
async def test_a_proof_within_its_limits_is_accepted_by_both_servers(world: World, changes: dict[str, Any]) -> None:
    nonce = world.token_nonce()
    token = await world.token(proof=world.proof("POST", TOKEN_URL, nonce=nonce, **changes))
    await world.call(token, **changes)


async def test_an_rsa_proof_has_a_header_beyond_joserfcs_default(world: World) -> None:
    proof = world.proof("POST", TOKEN_URL, nonce=world.token_nonce(), key=KEYS["PS256-2048"])
    assert len(proof.split(".")[0]) > 512
    await world.ask(proof=proof)


@pytest.mark.parametrize("changes", [{"ath": ...}, {"ath": ""}, {"ath": "wrong"}, {"ath": None}, {"ath": ["a"]}])
async def test_the_resource_wants_the_tokens_hash(world: World, changes: dict[str, Any]) -> None:
    token = await world.token()
    assert (await world.challenge(token, **changes)).reason == "PROOF_TOKEN"


async def test_a_proof_for_another_token_is_refused(world: World) -> None:
    first, second = await world.token(), await world.token()
    proof = world.proof("GET", "https://gateway.example/v1/things", nonce=world.identity.next_nonce(), token=first)
    assert (await world.challenge(second, proof=proof)).reason == "PROOF_TOKEN"


async def test_a_proof_is_used_once_at_each_server(world: World) -> None:
    proof = world.proof("POST", TOKEN_URL, nonce=world.token_nonce())
    token = await world.token(proof=proof)
    assert (await world.refusal(proof=proof)).code == "PROOF_REPLAYED"
    await world.call(token, jti="b" * 16)
    replayed = await world.challenge(token, jti="b" * 16)
    assert (replayed.reason, replayed.error) == ("PROOF_REPLAYED", "invalid_dpop_proof")


async def test_a_jti_is_its_keys_own(world: World) -> None:
    mine, theirs = KEYS["ES256"], KEYS["Ed25519"]
    for key in (mine, theirs):
        proof = world.proof("POST", TOKEN_URL, nonce=world.token_nonce(), key=key, jti="c" * 16)
        await world.ask(proof=proof)


async def test_a_proof_stays_used_for_as_long_as_it_could_hold(world: World) -> None:
    token = await world.token()
    proof = world.proof(
        "GET", "https://gateway.example/v1/things", nonce=world.identity.next_nonce(), token=token, iat=NOW + 10
    )
    await world.call(token, proof=proof)
    for _ in range(80):
        assert (await world.challenge(token, proof=proof)).reason in ("PROOF_REPLAYED", "PROOF_TIME")
        world.clock.pass_seconds(1)
    assert (await world.challenge(token, proof=proof)).reason == "PROOF_TIME"


async def test_the_proof_key_must_be_the_tokens(world: World) -> None:
    token = await world.token()
    challenge = await world.challenge(token, key=KEYS["ES256"])
    assert (challenge.reason, challenge.error) == ("TOKEN_BINDING", "invalid_token")


async def test_a_changed_signature_is_refused_also_when_the_key_is_remembered(world: World) -> None:
    token = await world.token()
    await world.call(token)
    nonce, url = world.identity.next_nonce(), "https://gateway.example/v1/things"
    good = world.proof("GET", url, nonce=nonce, token=token)
    other = world.proof("GET", url, nonce=nonce, token=token)
    forged = good.rpartition(".")[0] + "." + other.rpartition(".")[2]
    assert (await world.challenge(token, proof=forged)).reason == "PROOF_SIGNATURE"
    await world.call(token, proof=good)


@pytest.mark.parametrize("filling", [0, 1])
async def test_a_proof_has_a_size_limit(world: World, filling: int) -> None:
    """The padding is a claim: at the cap it passes, one base64 step beyond it does not."""
    nonce = world.token_nonce()
    bare = len(world.proof("POST", TOKEN_URL, nonce=nonce, key=KEYS["ES256"], filling=""))
    room = (PROOF_BYTES - bare) * 3 // 4 - 2
    proof = world.proof("POST", TOKEN_URL, nonce=nonce, key=KEYS["ES256"], filling="f" * (room + filling * 8))
    assert (len(proof) > PROOF_BYTES) == bool(filling)
    if filling:
        assert (await world.refusal(proof=proof)).code == "PROOF_MALFORMED"
    else:
        await world.ask(proof=proof)


async def test_one_proof_header_and_no_more(world: World) -> None:
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    proof = (b"dpop", world.proof("POST", TOKEN_URL, nonce=world.token_nonce()).encode())
    assert (await world.refusal(headers=[kind])).code == "PROOF_COUNT"
    assert (await world.refusal(headers=[kind, proof, proof])).code == "PROOF_COUNT"
    await world.ask(headers=[kind, proof])


def test_the_example_of_rfc_9449_is_read() -> None:
    parts = jws.take_apart(RFC_9449_FIGURE_2, limit=PROOF_BYTES)
    key = jws.public_key(parts.header["jwk"])
    assert key.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert jws.signature_holds(parts, key)
    assert json.loads(parts.payload)["htu"] == "https://server.example.com/token"


def test_the_example_of_rfc_9449_lacks_only_a_nonce() -> None:
    clock = MovableClock()
    clock.ms = 1_562_262_616_000
    check = ProofCheck(Nonces("token", lambda: b"s" * 32, clock), clock)
    with pytest.raises(ProofRefused) as refused:
        check.check(RFC_9449_FIGURE_2.encode(), method="POST", target="https://server.example.com/token", ath=None)
    assert refused.value.error == "use_dpop_nonce"


@pytest.mark.parametrize(
    "htu",
    [
        "https://gateway.example/v1/things",
        "HTTPS://Gateway.Example/v1/things",
        "https://gateway.example:443/v1/things",
        "https://gateway.example/v1/things?purpose=audit",
        "https://gateway.example/v1/things#part",
        "https://gateway.example/v1/%74hings",
        "https://gateway.example/v1/./x/../things",
    ],
)
def test_equal_targets_are_equal(htu: str) -> None:
    assert same_target(htu, "https://gateway.example/v1/things")


@pytest.mark.parametrize(
    "htu",
    [
        "https://gateway.example/v1/Things",
        "https://gateway.example/v1/things/",
        "https://gateway.example/v1/thing",
        "https://gateway.example/V1/things",
        "https://gateway.example:8443/v1/things",
        "http://gateway.example/v1/things",
        "https://user@gateway.example/v1/things",
        "https://gateway.example.evil/v1/things",
        "https://gateway.example/v1%2Fthings",
        "https://gateway.example/v1/th%ings",
        "https://gateway.example/v1/things ",
        "https://gateway.example/v1/thi\nngs",
        "https://gateway.example/v1/things\u200b",
        "https://[gateway.example/v1/things",
        "https://gateway.example:port/v1/things",
        "//gateway.example/v1/things",
        "gateway.example/v1/things",
        "",
        None,
        ["https://gateway.example/v1/things"],
    ],
)
def test_other_targets_are_other(htu: object) -> None:
    assert not same_target(htu, "https://gateway.example/v1/things")


def test_an_encoded_slash_stays_what_it_is() -> None:
    assert same_target("https://a.example/x%2fy", "https://a.example/x%2Fy")
    assert not same_target("https://a.example/x/y", "https://a.example/x%2Fy")


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_is_compared_without_failing(htu: str) -> None:
    same_target("https://a.example/" + htu, "https://a.example/v1")
    same_target(htu, "https://a.example/v1")


@given(st.lists(st.text("abc%.~/ ", max_size=6), max_size=4))
@settings(max_examples=200, deadline=None)
def test_every_target_equals_itself_in_another_case_of_host(segments: list[str]) -> None:
    path = "/".join(segments).replace(" ", "%20").replace("%%", "%25")
    assert same_target(f"https://a.example/{path}", f"https://a.example/{path}")


async def test_a_nonce_challenge_spends_nothing(world: World) -> None:
    """Some clients send the same assertion again, with a new proof under the nonce they were given."""
    assertion = world.assertion()
    bare = world.proof("POST", TOKEN_URL, nonce="")
    refused = await world.refusal(form={"client_assertion": assertion}, proof=bare)
    assert refused.error == "use_dpop_nonce"
    assert refused.nonce
    answer = await world.ask(
        form={"client_assertion": assertion}, proof=world.proof("POST", TOKEN_URL, nonce=refused.nonce)
    )
    assert answer.body["token_type"] == "DPoP"
    with pytest.raises(TokenRefused, match="ASSERTION_REPLAYED"):
        await world.ask(form={"client_assertion": assertion})

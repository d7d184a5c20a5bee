from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.identity.keys import PublicKey, public_key
from gateway.identity.message_signatures import Request
from gateway.identity.signed_requests import SignatureRefused, SignedRequest, verify
from tests.signing import Message, Signature, digest

NOW = 1_800_000_000
URL = "https://gateway.example/v1/agreements/a/datasets/d/records?limit=2"
KEYS: dict[str, Any] = {
    "EC": ECKey.generate_key("P-256"),
    "OKP": OKPKey.generate_key("Ed25519"),
    "RSA": RSAKey.generate_key(2048),
}
EC = KEYS["EC"]


def registered(*keys: Any, kid: str | None = None) -> list[tuple[str, PublicKey]]:
    found = [public_key(key.as_dict(private=False)) for key in keys]
    return [(kid or key.thumbprint, key) for key in found]


def message(method: str = "GET", content: bytes = b"", headers: Mapping[str, str] | None = None) -> Message:
    usual = {"authorization": "DPoP token", "dpop": "proof"}
    return Message(
        method, URL, usual | ({"content-digest": digest(content)} if content else {}) | dict(headers or {}), content
    )


def checked(
    sent: Message, keys: list[tuple[str, PublicKey]] | None = None, *, now: int = NOW, key: Any = EC, **how: Any
) -> SignedRequest:
    """Sign the message and verify what arrives."""
    usual: dict[str, Any] = {"key": key, "created": NOW, "keyid": key.thumbprint()}
    stated, made = Signature(**(usual | how)).write(sent)
    fields = sent.headers | {"signature-input": stated, "signature": made}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    return verify(Request(sent.method, sent.url, headers, sent.content), keys or registered(key), now)


def refusal(*given: Any, **how: Any) -> str:
    """The code of a request that must be refused."""
    with pytest.raises(SignatureRefused) as refused:
        checked(*given, **how)
    return refused.value.code


@pytest.mark.parametrize(
    ("kty", "alg", "stated"),
    [
        ("EC", None, "ES256"),
        ("EC", "ecdsa-p256-sha256", "ecdsa-p256-sha256"),
        ("OKP", None, "Ed25519"),
        ("OKP", "ed25519", "ed25519"),
        ("RSA", None, "PS256"),
        ("RSA", "rsa-pss-sha512", "rsa-pss-sha512"),
    ],
)
def test_each_kind_of_client_key_signs_with_and_without_alg(kty: str, alg: str | None, stated: str) -> None:
    signed = checked(message(), key=KEYS[kty], alg=alg)
    assert signed.message.algorithm == stated
    assert signed.message.key.thumbprint == KEYS[kty].thumbprint()


@pytest.mark.parametrize(
    ("kty", "alg", "jose"),
    [
        ("EC", "ed25519", "ES256"),
        ("EC", "rsa-pss-sha512", "ES256"),
        ("EC", "hmac-sha256", "ES256"),
        ("EC", "ES256", "ES256"),
        ("RSA", "rsa-v1_5-sha256", "RS256"),
        ("RSA", None, "RS256"),
        ("RSA", None, "PS512"),
        ("RSA", "rsa-pss-sha512", "PS256"),
        ("OKP", "EdDSA", "Ed25519"),
    ],
)
def test_an_algorithm_that_is_not_the_keys_is_refused(kty: str, alg: str | None, jose: str) -> None:
    assert refusal(message(), key=KEYS[kty], alg=alg, jose=jose) == "SIGNATURE_MISMATCH"


def test_the_key_is_found_by_kid_or_thumbprint_among_keys_that_share_a_kid() -> None:
    keys = registered(KEYS["RSA"], KEYS["OKP"], EC, kid="shared")
    for key in KEYS.values():
        assert checked(message(), keys, key=key, keyid="shared").message.key.thumbprint == key.thumbprint()
        assert checked(message(), keys, key=key).message.key.thumbprint == key.thumbprint()
    assert refusal(message(), keys, key=ECKey.generate_key("P-256"), keyid="shared") == "SIGNATURE_MISMATCH"
    assert refusal(message(), keys, keyid="other") == "SIGNATURE_KEY"


@pytest.mark.parametrize(("age", "accepted"), [(60, True), (61, False), (-10, True), (-11, False)])
def test_created_is_at_most_a_minute_old_and_ten_seconds_ahead(age: int, accepted: bool) -> None:
    if accepted:
        checked(message(), now=NOW + age)
    else:
        assert refusal(message(), now=NOW + age) == "SIGNATURE_TIME"


@pytest.mark.parametrize(("expires", "accepted"), [(NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_expires_is_honoured(expires: int, accepted: bool) -> None:
    if accepted:
        checked(message(), more={"expires": str(expires)})
    else:
        assert refusal(message(), more={"expires": str(expires)}) == "SIGNATURE_TIME"


def test_more_may_be_covered_than_is_asked_for() -> None:
    names = ["@method", "@authority", "@target-uri", "authorization", "dpop", "accept"]
    sent = message(headers={"accept": "application/json"})
    assert b'"accept": application/json' in checked(sent, components=names, more={"nonce": '"n"'}).message.base


def test_a_label_has_at_most_64_characters() -> None:
    assert checked(message(), label="s" * 64).label == "s" * 64
    assert refusal(message(), label="s" * 65) == "SIGNATURE_FIELDS"


def test_without_a_proof_none_need_be_covered() -> None:
    sent = message()
    del sent.headers["dpop"]
    checked(sent, components=["@method", "@target-uri", "authorization"])


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_content_is_covered_by_its_digest(algorithm: str) -> None:
    sent = message("POST", b"{}", {"content-digest": digest(b"{}", algorithm)})
    assert checked(sent).request.content == b"{}"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"created": '"1800000000"'}, "SIGNATURE_PARAMETERS"),
        ({"created": "1800000000.0"}, "SIGNATURE_PARAMETERS"),
        ({"created": "@1800000000"}, "SIGNATURE_PARAMETERS"),
        ({"created": "?1"}, "SIGNATURE_PARAMETERS"),
        ({"expires": "never"}, "SIGNATURE_PARAMETERS"),
        ({"keyid": "1"}, "SIGNATURE_PARAMETERS"),
        ({"keyid": '""'}, "SIGNATURE_PARAMETERS"),
        ({"keyid": f'"{"k" * 257}"'}, "SIGNATURE_PARAMETERS"),
        ({"tag": "fapi-2-request"}, "SIGNATURE_PARAMETERS"),
        ({"alg": "ed25519"}, "SIGNATURE_PARAMETERS"),
        ({"nonce": "1"}, "SIGNATURE_PARAMETERS"),
        ({"context": '"x"'}, "SIGNATURE_PARAMETERS"),
        ({"expires": "99999999999999999999"}, "SIGNATURE_FIELDS"),
    ],
)
def test_a_parameter_that_is_unknown_or_of_another_type_is_refused(more: dict[str, str], code: str) -> None:
    assert refusal(message(), more=more) == code


@pytest.mark.parametrize("name", ["created", "keyid", "tag"])
def test_a_parameter_that_must_be_there_is(name: str) -> None:
    assert refusal(message(), without=[name]) in ("SIGNATURE_PARAMETERS", "SIGNATURE_TAG")


@pytest.mark.parametrize(
    "name",
    [
        '"authorization";bs',
        '"@method";req',
        '"dpop";sf',
        '"@query-param";name="limit"',
        '"@status"',
        "@unknown",
        "x-no",
    ],
)
def test_a_component_that_is_not_plain_or_not_there_is_refused(name: str) -> None:
    usual = ["@method", "@target-uri", "authorization", "dpop"]
    names = [*(one for one in usual if f'"{one}"' not in name), name]
    assert refusal(message(), components=names) == "SIGNATURE_COMPONENT"


def test_a_component_stands_there_once_and_there_are_not_endless_ones() -> None:
    usual = ["@method", "@target-uri", "authorization", "dpop"]
    assert refusal(message(), components=[*usual, "dpop"]) == "SIGNATURE_COMPONENT"
    many = {f"x-{n}": "1" for n in range(33)}
    assert refusal(message(headers=many), components=[*usual, *many]) == "SIGNATURE_COMPONENT"

"""Facts of RFC 9421 appendix B: public keys (B.1), messages and signatures (B.2), transformations (B.4)."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from gateway.errors import Invalid
from gateway.identity.keys import public_key
from gateway.identity.message_signatures import REGISTERED, Request, SignedMessage, holds, signature_base
from gateway.identity.structured_fields import FieldRefused, dictionary, serialised

RSA_PSS = public_key(
    {
        "kty": "RSA",
        "e": "AQAB",
        "n": "r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbgg"
        "D4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzd"
        "piy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV"
        "6-U9nV5oyc6XI2w",
    }
)
P256 = public_key(
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
        "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
    }
)
ED25519 = public_key({"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"})

CONTENT = b'{"hello": "world"}'
DIGEST = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
REQUEST = Request(
    "POST",
    "https://example.com/foo?param=Value&Pet=dog",
    [
        (b"host", b"example.com"),
        (b"date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
        (b"content-type", b"application/json"),
        (b"content-digest", DIGEST.encode()),
        (b"content-length", b"18"),
    ],
    CONTENT,
)
B21 = (
    '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    (
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eS"
        "kFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HEL"
        "jVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q=="
    ),
)
B23 = (
    (
        '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-rsa-pss"'
    ),
    (
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O"
        "0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvf"
        "rs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA=="
    ),
)
B24 = (
    '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
    "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
)
B26 = (
    (
        '("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"'
    ),
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
)
B4 = (
    '("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"',
    "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
)


def base_of(request: Request, stated: str) -> bytes:
    """The signature base that a `Signature-Input` member asks for."""
    components, parameters = dictionary(f"sig={stated}", field="signature-input")["sig"]
    covered = [(serialised(name), request.component(name)) for name, _ in components]
    return signature_base(covered, serialised((components, parameters)))


@pytest.mark.parametrize(
    ("vector", "algorithm", "key"),
    [(B21, "rsa-pss-sha512", RSA_PSS), (B23, "rsa-pss-sha512", RSA_PSS), (B26, "ed25519", ED25519)],
    ids=["B.2.1", "B.2.3", "B.2.6"],
)
def test_the_signed_requests_of_the_rfc_verify(vector: tuple[str, str], algorithm: str, key: Any) -> None:
    base, signature = base_of(REQUEST, vector[0]), b64decode(vector[1])
    assert holds(base, signature, algorithm, key)
    assert not holds(base.replace(b"1618884473", b"1618884474"), signature, algorithm, key)
    assert not holds(base, signature[:-1] + bytes((signature[-1] ^ 1,)), algorithm, key)


def test_an_authority_is_signed_in_lower_case_however_the_address_is_written() -> None:
    """RFC 9421 section 2.2.3; path and query stay as they are."""
    request = Request("GET", "https://Gateway.Example:8443/V1?Q=A", [], b"")
    components = {name: request.component(name) for name in ("@authority", "@scheme", "@path", "@query")}
    assert components == {"@authority": "gateway.example:8443", "@scheme": "https", "@path": "/V1", "@query": "?Q=A"}


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        ("https://gateway.example:443/v1", "gateway.example"),
        ("http://gateway.example:80/v1", "gateway.example"),
        ("https://[::1]:443/v1", "[::1]"),
        ("https://gateway.example:80/v1", "gateway.example:80"),
        ("https://gateway.example:8443/v1", "gateway.example:8443"),
        ("https://[2001:db8::443]/v1", "[2001:db8::443]"),
    ],
)
def test_an_authority_leaves_out_the_port_of_its_scheme_alone(target: str, authority: str) -> None:
    """RFC 9421 section 2.2.3."""
    assert Request("GET", target, [], b"").component("@authority") == authority


def test_the_signed_response_of_the_rfc_verifies() -> None:
    digest = "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:"
    covered = [
        ('"@status"', "200"),
        ('"content-type"', "application/json"),
        ('"content-digest"', digest),
        ('"content-length"', "23"),
    ]
    base = signature_base(covered, B24[0])
    assert holds(base, b64decode(B24[1]), "ecdsa-p256-sha256", P256)
    assert not holds(base.replace(b"200", b"201", 1), b64decode(B24[1]), "ecdsa-p256-sha256", P256)


def test_the_base_is_the_text_that_the_rfc_prints() -> None:
    assert base_of(REQUEST, B26[0]).decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
        '"content-type": application/json\n"content-length": 18\n"@signature-params": ' + B26[0]
    )


def transformed(*accept: bytes, method: str = "GET", host: str = "example.org", query: str = "") -> Request:
    lines = [(b"accept", line) for line in accept]
    return Request(method, f"https://{host}/demo?name1=Value1&Name2=value2{query}", lines, b"")


def test_a_proxys_changes_of_form_leave_a_signature_whole_and_others_do_not() -> None:
    """RFC 9421 section B.4."""

    def verifies(request: Request) -> bool:
        return holds(base_of(request, B4[0]), b64decode(B4[1]), "ed25519", ED25519)

    assert verifies(transformed(b"application/json", b"*/*"))
    assert verifies(transformed(b" application/json ", b"\t*/*", query="&param=added"))
    assert verifies(transformed(b"application/json, */*"))
    assert not verifies(transformed(b"*/*", b"application/json"))
    assert not verifies(transformed(b"application/json", b"*/*", method="POST", host="example.com"))


@pytest.mark.parametrize(("vector", "key"), [(B21, RSA_PSS), (B26, ED25519)], ids=["RSA", "Ed25519"])
def test_a_key_verifies_by_its_own_algorithms_alone(vector: tuple[str, str], key: Any) -> None:
    base, signature = base_of(REQUEST, vector[0]), b64decode(vector[1])
    names = {*REGISTERED, *REGISTERED.values(), "EdDSA", "PS512", "RS256", "HS256", "none", "hmac-sha256", None, 1}
    assert {name for name in names if holds(base, signature, name, key)} <= {key.algorithm, REGISTERED[key.algorithm]}
    for other in (one for one in (RSA_PSS, P256, ED25519) if one is not key):
        assert not any(holds(base, signature, name, other) for name in names)


@pytest.mark.parametrize(
    "name", ["@status", "@query-param", "@request-target", "@signature-params", "x-none", "Date", ""]
)
def test_what_a_request_has_not_has_no_value(name: str) -> None:
    with pytest.raises(FieldRefused):
        REQUEST.component(name)


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"a\nb", b"a\x00", b"\x7f"])
def test_a_field_that_could_be_read_in_two_ways_is_not_signed(value: bytes) -> None:
    with pytest.raises(FieldRefused):
        Request("GET", "https://example.com/", [(b"x", value)], b"").component("x")


@pytest.mark.parametrize("target", ["https://example.com/caf\u00e9", "https://example.com/a b\n"])
def test_a_target_that_could_be_read_in_two_ways_is_not_signed(target: str) -> None:
    with pytest.raises(FieldRefused):
        Request("GET", target, [], b"").component("@target-uri")


@pytest.mark.parametrize(
    "value",
    [
        "sig1=1, sig1=1",
        "sig1=();created=1;created=2",
        'sig1=("a";x;x)',
        "sig1=(",
        'sig1="\u00e9"',
        "SIG1=1",
        "sig1=1,",
        "sig1=:no base64:",
        "sig1=99999999999999999999",
    ],
)
def test_a_dictionary_that_says_something_twice_or_badly_is_refused(value: str) -> None:
    with pytest.raises(FieldRefused):
        dictionary(value, field="signature-input")


def kept() -> dict[str, Any]:
    message = SignedMessage(base_of(REQUEST, B26[0]), b64decode(B26[1]), "ed25519", ED25519)
    return dict(json.loads(message.document()))


def encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def test_a_kept_message_is_read_back_and_verified() -> None:
    message = SignedMessage.read(encoded(kept()))
    assert message.document() == encoded(kept())
    assert message.describe()["key"] == ED25519.thumbprint
    assert message.describe()["base_sha256"] == message.sha256


@pytest.mark.parametrize(
    "change",
    [
        {"base": b64encode(b'"@method": POST').decode()},
        {"signature": b64encode(bytes(64)).decode()},
        {"algorithm": "rsa-pss-sha512"},
        {"algorithm": None},
        {"algorithm": ["ed25519"]},
        {"jwk": dict(P256.jwk)},
        {"jwk": None},
        {"jwk": {}},
        {"v": 2},
        {"base": 1},
        {"base": "*"},
        {"more": 1},
    ],
)
def test_an_altered_message_is_not_evidence(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        SignedMessage.read(encoded(kept() | change))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"1", b"\xff", b'{"v":1,"v":1}'])
def test_what_is_no_kept_message_is_not_read(text: bytes) -> None:
    with pytest.raises(Invalid):
        SignedMessage.read(text)

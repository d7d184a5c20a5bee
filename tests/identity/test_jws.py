"""The compact JWS verifier, on published vectors and on what no vector thought of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.errors import Invalid
from gateway.identity import jws
from gateway.identity.jws import JwsRefused, sign_compact, take_apart, verify_compact
from tests.beside import VECTORS, there
from tests.identity.world import sign_raw

KEY = ECKey.generate_key("P-256")
PUBLIC = dict(KEY.as_dict(private=False))
GOOD = sign_compact(b'{"a":1}', KEY, typ="agreement+jws")


@pytest.mark.parametrize("key", [KEY, OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)], ids=type)
def test_what_is_signed_is_verified(key: jws.PrivateKey) -> None:
    text = sign_compact(b"payload", key, typ="agreement+jws", header={"kid": "k"})
    public = dict(key.as_dict(private=False))
    assert verify_compact(text, public, typ="agreement+jws") == b"payload"
    assert verify_compact(text, public, typ="application/agreement+jws") == b"payload"


def test_another_key_type_algorithm_or_typ_is_refused() -> None:
    other = dict(ECKey.generate_key("P-256").as_dict(private=False))
    with pytest.raises(JwsRefused):
        verify_compact(GOOD, other, typ="agreement+jws")
    with pytest.raises(JwsRefused):
        verify_compact(GOOD, PUBLIC, typ="at+jwt")
    with pytest.raises(JwsRefused):
        verify_compact(GOOD, PUBLIC, typ="agreement+jws", algorithms=("Ed25519",))
    with pytest.raises(JwsRefused):
        verify_compact(GOOD, PUBLIC, typ="agreement+jws", limit=len(GOOD) - 1)
    assert verify_compact(GOOD, PUBLIC, typ="agreement+jws", limit=len(GOOD)) == b'{"a":1}'


@pytest.mark.parametrize(
    "header",
    [
        '{"alg": "ES256", "typ": "t", "alg": "ES256"}',
        '{"alg": "ES256", "typ": "t", "crit": ["b64"], "b64": false}',
        '{"alg": "ES256", "typ": "t", "crit": ["exp"]}',
        '{"alg": "ES256", "typ": "t", "b64": true}',
        '{"typ": "t"}',
        '{"alg": null, "typ": "t"}',
        '{"alg": ["ES256"], "typ": "t"}',
        '{"alg": "es256", "typ": "t"}',
        '{"alg": "ES384", "typ": "t"}',
        '{"alg": "ES256"}',
        '{"alg": "ES256", "typ": null}',
        '{"alg": "ES256", "typ": "t", "n": NaN}',
        '["ES256"]',
        '"ES256"',
        "",
        "{",
        "[" * 3000,
        '{"alg": "ES256", "typ": "t", "kid": "' + "k" * 4096 + '"}',
    ],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(JwsRefused):
        verify_compact(sign_raw(header, "{}", KEY), PUBLIC, typ="t")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a": 1, "a": 1}', b'{"b":{"a":1,"a":1}}', b'[{"a":1,"a":1}]', b"[1]",
        b'{"a":1,"\\u0061":1}', b'{"a":NaN}', b'{"a":1}x', b'{"a":1', b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b'"a"',
    ],
)  # fmt: skip
def test_json_with_a_member_twice_or_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(jws.JwsRefused):
        jws.json_object(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"b":{"a":1}}',
        b'{ "a": 1 }',
        b'{"a":1e400}',
        b'{"\\u0061":1}',
        b'{"a":' + b"[" * 400 + b"]" * 400 + b"}",
    ],
)
def test_json_is_read_alike_compact_or_not(text: bytes) -> None:
    assert jws.json_object(text) == json.loads(text)


def test_a_key_in_the_header_is_no_key() -> None:
    stranger = ECKey.generate_key("P-256")
    text = sign_compact(b"{}", stranger, typ="t", header={"jwk": stranger.as_dict(private=False)})
    with pytest.raises(JwsRefused):
        verify_compact(text, PUBLIC, typ="t")


@pytest.mark.parametrize("change", ["{}.", ".{}", "{}.e30", "{} ", " {}", "{}\n", "{}=", "é{}", '{{"payload": "{}"}}'])
def test_anything_around_a_compact_jws_is_refused(change: str) -> None:
    with pytest.raises(JwsRefused):
        verify_compact(change.format(GOOD), PUBLIC, typ="agreement+jws")


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="utf-8"))
@settings(max_examples=300, deadline=None)
def test_no_changed_character_is_accepted(position: int, character: str) -> None:
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    if changed != GOOD:
        with pytest.raises(JwsRefused):
            verify_compact(changed, PUBLIC, typ="agreement+jws")


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), st.lists(st.text("eyJ0._-A", max_size=9)).map(".".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_refused_in_our_own_words(text: str | bytes) -> None:
    with pytest.raises(JwsRefused) as refused:
        take_apart(text, limit=1000)
    assert refused.value.__cause__ is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(("kty", "crv", "x", "y", "n", "e", "d", "use", "alg", "key_ops")), _JSON))
@settings(max_examples=200, deadline=None)
def test_any_jwk_is_accepted_or_refused_in_our_own_words(members: dict[str, Any]) -> None:
    for jwk in (members, {**PUBLIC, **members}):
        try:
            jws.public_key(jwk)
        except Invalid as refused:
            assert refused.__cause__ is None  # noqa: PT017


def _wycheproof(name: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads(there(VECTORS / "wycheproof" / name).read_text())["testGroups"]
    return groups


def _accepts(text: str, jwk: dict[str, Any]) -> bool:
    try:
        key = jws.public_key(jwk)
        return jws.signature_holds(take_apart(text, limit=100_000), key)
    except Invalid:
        return False


def test_wycheproof_signatures() -> None:
    """No invalid vector is accepted; every valid one within the profile is; the counts say which those are."""
    counts = {"refused": 0, "accepted": 0, "outside the profile": 0}
    for group in _wycheproof("json_web_signature_test.json"):
        jwk: dict[str, Any] = group.get("public") or group["private"]
        for test in group["tests"]:
            holds = _accepts(test["jws"], jwk)
            if test["result"] == "invalid":
                assert not holds, test
                counts["refused"] += 1
            elif holds:
                counts["accepted"] += 1
            else:
                assert jwk.get("alg") not in ("ES256", "PS256", "EdDSA", "Ed25519") or _outside(test["jws"]), test
                counts["outside the profile"] += 1
    print(f"wycheproof JWS: {counts}")
    assert counts["refused"] == 355
    assert counts["accepted"] > 0


def _outside(text: str) -> bool:
    """Whether a valid JWS is one that the profile refuses by design."""
    try:
        return take_apart(text, limit=100_000).header["alg"] not in jws.ALGORITHMS
    except JwsRefused:
        return True


def test_wycheproof_key_sets() -> None:
    """Each JWS is tried with every key of its set: what no key of the set may verify is never accepted."""
    tried = 0
    for group in _wycheproof("json_web_key_test.json"):
        keys = (group.get("public") or group["private"])["keys"]
        for test in group["tests"]:
            holds = any(_accepts(test["jws"], jwk) for jwk in keys)
            assert not (holds and test["result"] == "invalid"), test
            tried += 1
    assert tried == 26

"""The resource: which requests have a subject, and what the others are told."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from gateway.errors import Refused
from gateway.identity import (
    Challenge,
    Grants,
    MemoryWindow,
    Subject,
    TokenKey,
    TokenKeys,
    add_key,
    jws,
    retire_key,
    revoke_client,
)
from gateway.identity.base64url import encode
from gateway.identity.tokens import TokenInvalid, Tokens, VerifiedTokens
from tests.identity.world import ISSUER, NOW, RESOURCE, World, build_identity, build_second_client, sign


async def test_a_good_request_has_its_subject(world: World) -> None:
    subject = await world.call(await world.token())
    assert (subject.alliance, subject.member, subject.client) == ("alliance", "bank", world.client)
    assert subject.actions == {"draft", "sign"}
    assert (subject.jkt, subject.expires_at, subject.client_version) == (world.dpop.thumbprint(), NOW + 300, 1)
    assert subject == world.record.granted[0]
    subject.require("draft")
    with pytest.raises(Refused) as refused:
        subject.require("upload")
    assert refused.value.code == "ACTION_NOT_GRANTED"


async def test_the_subject_names_the_token_by_its_jti(world: World) -> None:
    token = await world.token()
    jti = json.loads(jws.take_apart(token, limit=10_000).payload)["jti"]
    assert (await world.call(token)).token == encode(sha256(jti.encode()).digest())


async def test_what_comes_to_light_after_the_token_is_told_in_its_own_scheme(world: World) -> None:
    """A client whose token is bound to a certificate does not know what to make of a DPoP challenge."""
    by_proof = await world.call(await world.token())
    by_certificate = replace(by_proof, jkt="", certificate="thumbprint")
    for subject, scheme in ((by_proof, "DPoP"), (by_certificate, "Bearer")):
        for challenge in (
            world.identity.challenge_changed(subject),
            world.identity.challenge_signature(subject, "SIGNATURE_REPLAYED"),
        ):
            assert dict(challenge.headers())["WWW-Authenticate"].startswith(f"{scheme} error=")


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
async def test_the_scheme_has_no_case(world: World, scheme: str) -> None:
    await world.call(await world.token(), scheme=scheme)


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "DPoPX", ""])
async def test_a_bound_token_under_another_scheme_is_refused(world: World, scheme: str) -> None:
    assert (await world.challenge(await world.token(), scheme=scheme)).reason == "TOKEN_SCHEME"


async def test_a_request_without_credentials_is_told_where_to_get_some(world: World) -> None:
    with pytest.raises(Challenge) as challenge:
        await world.identity.authenticate("GET", "/v1/things", [(b"host", b"gateway.example")])
    assert challenge.value.headers() == [
        (
            "WWW-Authenticate",
            (
                'DPoP algs="ES256 PS256 Ed25519 EdDSA", resource_metadata='
                '"https://gateway.example/.well-known/oauth-protected-resource/v1"'
            ),
        ),
        ("DPoP-Nonce", world.identity.next_nonce()),
    ]


async def test_a_challenge_names_its_error(world: World) -> None:
    challenge = await world.challenge(await world.token(), nonce="old")
    assert challenge.headers()[0][1].startswith('DPoP error="use_dpop_nonce", algs=')
    assert challenge.code == "use_dpop_nonce"
    assert "PROOF" not in str(challenge)


async def test_headers_sent_twice_or_not_at_all_are_refused(world: World) -> None:
    token = await world.token()
    url = "https://gateway.example/v1/things"
    one = (b"authorization", f"DPoP {token}".encode())

    def proof() -> tuple[bytes, bytes]:
        return (b"dpop", world.proof("GET", url, nonce=world.identity.next_nonce(), token=token).encode())

    for headers in ([one], [one, proof(), proof()], [one, one, proof()], [proof()], [(b"authorization", b"DPoP")]):
        with pytest.raises(Challenge):
            await world.identity.authenticate("GET", "/v1/things", headers)
    await world.identity.authenticate("GET", "/v1/things", [one, proof()])


async def test_the_host_header_has_no_say(world: World) -> None:
    token = await world.token()
    proof = world.proof("GET", "https://evil.example/v1/things", nonce=world.identity.next_nonce(), token=token)
    headers = [(b"host", b"evil.example"), (b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode())]
    with pytest.raises(Challenge):
        await world.identity.authenticate("GET", "https://evil.example/v1/things", headers)


async def test_the_query_is_no_part_of_the_target(world: World) -> None:
    token = await world.token()
    nonce = world.identity.next_nonce()
    proof = world.proof("GET", "https://gateway.example/v1/things", nonce=nonce, token=token)
    headers = [(b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode())]
    await world.identity.authenticate("GET", "https://gateway.example/v1/things?limit=1", headers)


def _claims(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER, "aud": RESOURCE, "sub": f"client:{world.client}", "client_id": world.client, "iat": NOW,
        "exp": NOW + 300, "jti": "t" * 22, "cnf": {"jkt": world.dpop.thumbprint()}, "alliance": "alliance",
        "member": "bank", "client_version": 2,
        "authorization_details": [{"type": "alliance_member", "actions": ["draft"]}], **changes,
    }  # fmt: skip


def _token(world: World, *, key: Any = None, typ: Any = "at+jwt", header: Any = None, **changes: Any) -> str:
    kid = {"kid": world.token_key.kid, **(header or {})}
    return sign(_claims(world, **changes), key or world.token_key.private, typ=typ, header=kid)


async def test_a_token_of_our_own_making_is_accepted(world: World) -> None:
    await world.call(_token(world))
    await world.call(_token(world, header={"alg": "EdDSA"}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typ": "JWT"}, "TOKEN_TYPE"),
        ({"typ": ...}, "TOKEN_TYPE"),
        ({"typ": "dpop+jwt"}, "TOKEN_TYPE"),
        ({"iss": "https://elsewhere.example"}, "TOKEN_AUDIENCE"),
        ({"aud": ISSUER}, "TOKEN_AUDIENCE"),
        ({"aud": [RESOURCE]}, "TOKEN_AUDIENCE"),
        ({"aud": ...}, "TOKEN_AUDIENCE"),
        ({"exp": NOW}, "TOKEN_EXPIRED"),
        ({"exp": ...}, "TOKEN_EXPIRED"),
        ({"exp": "2099"}, "TOKEN_EXPIRED"),
        ({"cnf": ...}, "TOKEN_CLAIMS"),
        ({"cnf": {}}, "TOKEN_CLAIMS"),
        ({"cnf": {"jkt": "other"}}, "TOKEN_BINDING"),
        ({"cnf": {"x5t#S256": "other"}}, "TOKEN_BINDING"),
        ({"cnf": {"jkt": "other", "x5t#S256": "other"}}, "TOKEN_CLAIMS"),
        ({"cnf": {"jkt": ""}}, "TOKEN_CLAIMS"),
        ({"cnf": {"x5t": "other"}}, "TOKEN_CLAIMS"),
        ({"cnf": "other"}, "TOKEN_CLAIMS"),
        ({"authorization_details": ...}, "TOKEN_CLAIMS"),
        ({"authorization_details": [{"type": "else"}]}, "TOKEN_CLAIMS"),
        ({"client_version": ...}, "TOKEN_CLAIMS"),
        ({"jti": ...}, "TOKEN_CLAIMS"),
        ({"jti": 7}, "TOKEN_CLAIMS"),
        ({"header": {"kid": "unknown"}}, "TOKEN_SIGNATURE"),
        ({"header": {"kid": ...}}, "TOKEN_SIGNATURE"),
        ({"header": {"kid": ["a"]}}, "TOKEN_SIGNATURE"),
        ({"header": {"crit": ["exp"]}}, "TOKEN_MALFORMED"),
        ({"key": OKPKey.generate_key("Ed25519")}, "TOKEN_SIGNATURE"),
    ],
)
async def test_a_token_that_is_not_ours_is_refused(world: World, changes: dict[str, Any], reason: str) -> None:
    challenge = await world.challenge(_token(world, **changes))
    assert (challenge.reason, challenge.error) == (reason, "invalid_token")


async def test_a_client_assertion_is_no_access_token(world: World) -> None:
    assert (await world.challenge(world.assertion())).error == "invalid_token"


async def test_an_access_token_is_no_client_assertion(world: World) -> None:
    token = await world.token()
    assert (await world.refusal(form={"client_assertion": token})).error == "invalid_client"


async def test_a_remembered_token_still_expires(world: World) -> None:
    token = await world.token()
    world.clock.pass_seconds(299)
    await world.call(token)
    world.clock.pass_seconds(1)
    assert (await world.challenge(token)).reason == "TOKEN_EXPIRED"


async def test_a_remembered_token_still_needs_its_own_key(world: World) -> None:
    token = await world.token()
    await world.call(token)
    assert (await world.challenge(token, key=OKPKey.generate_key("Ed25519"))).reason == "TOKEN_BINDING"


@pytest.mark.parametrize("bound", [{}, {"jkt": "key", "certificate": "certificate"}])
def test_no_token_is_minted_with_no_binding_or_two(world: World, bound: dict[str, str]) -> None:
    tokens = Tokens(TokenKeys(world.token_key), issuer=ISSUER, resource=RESOURCE)
    with pytest.raises(TokenInvalid):
        tokens.mint(
            alliance="alliance", member="bank", client="client", version=1, grants=Grants((), frozenset()), now=NOW,
            **bound,
        )  # fmt: skip


def test_remembered_tokens_are_bounded_and_the_oldest_goes_first() -> None:
    subject = Subject("a", "m", "c", (), frozenset(), "t", "j", NOW + 1, 1)
    verified = VerifiedTokens(capacity=2)
    for digest in (b"1", b"2", b"3"):
        verified.keep(digest, subject)
    assert verified.find(b"1", NOW) is None
    assert verified.find(b"3", NOW) is subject
    assert verified.find(b"3", NOW + 1) is None
    assert len(verified._subjects) == 1


async def test_no_database_is_asked_for_a_request(world: World) -> None:
    token = await world.token()
    identity = build_identity(
        None, world.clock, world.token_key, world.terms, world.members, world.record, MemoryWindow(world.clock)  # type: ignore[arg-type]
    )  # fmt: skip
    await world.call(token, identity=identity)


async def test_a_lost_key_and_the_end_of_the_client_end_its_tokens_and_a_new_key_does_not(each_world: World) -> None:
    world = each_world
    other = await build_second_client(world)
    second = OKPKey.generate_key("Ed25519")
    theirs = await other.call(await other.token())

    async def gained() -> None:
        async with world.database.transaction() as tx:
            await add_key(tx, client_id=world.client, jwk=second.as_dict(private=False), now_ms=world.clock())

    async def retired() -> None:
        async with world.database.transaction() as tx:
            await retire_key(tx, client_id=world.client, thumbprint=second.thumbprint())

    async def revoked() -> None:
        async with world.database.transaction() as tx:
            await revoke_client(tx, client_id=world.client)

    kept = await world.call(await world.token())
    await gained()
    await world.identity.require_active(kept)
    for change in (retired, revoked):
        subject = await world.call(await world.token())
        await world.identity.require_active(subject)
        await change()
        with pytest.raises(Challenge) as challenge:
            await world.identity.require_active(subject)
        assert (challenge.value.error, challenge.value.reason) == ("invalid_token", "CLIENT_CHANGED")
    await world.identity.require_active(theirs)


async def test_an_unknown_client_is_not_active(world: World) -> None:
    with pytest.raises(Challenge):
        await world.identity.require_active(Subject("a", "m", "nobody", (), frozenset(), "t", "j", NOW + 1, 1))


async def test_a_rotated_key_still_verifies_and_no_longer_signs(world: World) -> None:
    token = await world.token()
    new = TokenKey.of(Ed25519PrivateKey.generate())
    old = world.token_key.private.public_key
    keys = TokenKeys(new, {world.token_key.kid: old})  # type: ignore[dict-item]
    tokens = Tokens(keys, issuer=ISSUER, resource=RESOURCE)
    assert tokens.read(token.encode(), NOW).subject.client == world.client
    assert {key["kid"] for key in keys.jwks()["keys"]} == {new.kid, world.token_key.kid}
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys.jwks()["keys"])

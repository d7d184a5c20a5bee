"""Stolen, replayed and misdirected DPoP proofs, at the resource and at the token endpoint."""

from __future__ import annotations

from joserfc.jwk import OKPKey, RSAKey

from gateway.identity import Challenge, Identity
from tests.identity.world import ISSUER, NOW, World

URL = "https://gateway.example/v1/things"


async def test_proof_of_a_thief_over_a_stolen_token(world: World) -> None:
    assert (await world.challenge(await world.token(), key=OKPKey.generate_key("Ed25519"))).reason == "TOKEN_BINDING"


async def test_proof_heard_and_shown_again(world: World) -> None:
    token = await world.token()
    proof = world.proof("GET", URL, nonce=world.identity.next_nonce(), token=token)
    await world.call(token, proof=proof)
    assert (await world.challenge(token, proof=proof)).reason == "PROOF_REPLAYED"


async def test_proof_heard_and_shown_to_the_token_endpoint_again(world: World) -> None:
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce())
    await world.ask(proof=proof)
    assert (await world.refusal(proof=proof)).code == "PROOF_REPLAYED"


async def test_proof_dated_ahead_and_kept_over_a_restart(world: World) -> None:
    token = await world.token()
    proof = world.proof("GET", URL, nonce=world.identity.next_nonce(), token=token, iat=NOW + 10)
    await world.call(token, proof=proof)
    restarted = world.another_process()
    assert (await world.challenge(token, proof=proof, identity=restarted)).reason == "PROOF_NONCE"


async def test_proof_for_another_method(world: World) -> None:
    assert (await world.challenge(await world.token(), htm="DELETE")).reason == "PROOF_METHOD"


async def test_proof_for_another_address(world: World) -> None:
    assert (await world.challenge(await world.token(), htu=f"{URL}/else")).reason == "PROOF_TARGET"


async def test_proof_for_an_address_that_only_looks_the_same(world: World) -> None:
    assert (
        await world.challenge(await world.token(), htu=URL.replace("/things", "%2Fthings"))
    ).reason == "PROOF_TARGET"


async def test_proof_for_an_address_with_a_user_in_it(world: World) -> None:
    url = URL.replace("//", "//gateway.example@")
    assert (await world.challenge(await world.token(), htu=url)).reason == "PROOF_TARGET"


async def test_proof_over_another_token(world: World) -> None:
    first, second = await world.token(), await world.token()
    proof = world.proof("GET", URL, nonce=world.identity.next_nonce(), token=first)
    assert (await world.challenge(second, proof=proof)).reason == "PROOF_TOKEN"


async def test_proof_over_no_token(world: World) -> None:
    assert (await world.challenge(await world.token(), ath=...)).reason == "PROOF_TOKEN"


async def test_proof_that_is_old(world: World) -> None:
    assert (await world.challenge(await world.token(), iat=NOW - 61)).reason == "PROOF_TIME"


async def test_proof_made_for_later(world: World) -> None:
    assert (await world.challenge(await world.token(), iat=NOW + 11)).reason == "PROOF_TIME"


async def test_proof_that_says_itself_that_it_is_over(world: World) -> None:
    assert (await world.challenge(await world.token(), exp=NOW)).reason == "PROOF_TIME"


async def test_proof_made_in_advance_without_a_nonce(world: World) -> None:
    assert (await world.challenge(await world.token(), nonce=...)).reason == "PROOF_NONCE"


async def test_proof_under_the_nonce_of_the_other_server(world: World) -> None:
    assert (await world.challenge(await world.token(), nonce=world.token_nonce())).reason == "PROOF_NONCE"


async def test_proof_under_a_nonce_that_was_kept(world: World) -> None:
    nonce = world.identity.next_nonce()
    world.clock.pass_seconds(241)
    assert (await world.challenge(await world.token(), nonce=nonce)).reason == "PROOF_NONCE"


async def test_proof_signed_by_another_key_than_it_shows(world: World) -> None:
    shown = {"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}
    token = await world.token()
    assert (await world.challenge(token, key=OKPKey.generate_key("Ed25519"), header=shown)).reason == "PROOF_SIGNATURE"


async def test_proof_that_is_another_kind_of_token(world: World) -> None:
    assert (await world.challenge(await world.token(), typ="JWT")).reason == "PROOF_HEADER"


async def test_proof_that_gives_its_private_key_away(world: World) -> None:
    shown = {"jwk": world.dpop.as_dict(private=True)}
    assert (await world.challenge(await world.token(), header=shown)).reason == "PROOF_MALFORMED"


async def test_proof_by_an_algorithm_that_is_not_accepted(world: World) -> None:
    key = RSAKey.generate_key(2048)
    token = await world.token(proof=world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce(), key=key))
    await world.call(token, key=key)
    assert (await world.challenge(token, key=key, header={"alg": "RS256"})).reason == "PROOF_ALGORITHM"


async def test_proof_without_jti(world: World) -> None:
    assert (await world.challenge(await world.token(), jti=...)).reason == "PROOF_CLAIMS"


async def test_proof_blown_up_to_keep_the_server_busy(world: World) -> None:
    assert (await world.challenge(await world.token(), padding="x" * 8192)).reason == "PROOF_MALFORMED"


async def test_proof_beside_a_second_proof(world: World) -> None:
    token = await world.token()
    proofs = [(b"dpop", _good(world, token)) for _ in range(2)]
    assert await _reason(world.identity, [(b"authorization", f"DPoP {token}".encode()), *proofs]) == "PROOF_COUNT"


async def test_proof_beside_a_second_proof_at_the_token_endpoint(world: World) -> None:
    proofs = [(b"dpop", world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce()).encode()) for _ in range(2)]
    form = (b"content-type", b"application/x-www-form-urlencoded")
    assert (await world.refusal(headers=[form, *proofs])).code == "PROOF_COUNT"


async def test_no_proof_at_the_token_endpoint(world: World) -> None:
    form = (b"content-type", b"application/x-www-form-urlencoded")
    assert (await world.refusal(headers=[form])).code == "PROOF_COUNT"


async def test_bound_token_as_a_bearer_token(world: World) -> None:
    assert (await world.challenge(await world.token(), scheme="Bearer")).reason == "TOKEN_SCHEME"


async def test_two_tokens_in_one_request(world: World) -> None:
    token = await world.token()
    one = (b"authorization", f"DPoP {token}".encode())
    assert await _reason(world.identity, [one, one, (b"dpop", _good(world, token))]) == "TOKEN_SCHEME"


def _good(world: World, token: str) -> bytes:
    return world.proof("GET", URL, nonce=world.identity.next_nonce(), token=token).encode()


async def _reason(identity: Identity, headers: list[tuple[bytes, bytes]]) -> str:
    try:
        await identity.authenticate("GET", "/v1/things", headers)
    except Challenge as challenge:
        return challenge.reason
    raise AssertionError("the request was accepted")

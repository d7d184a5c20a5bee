"""Forged, stolen and stretched client assertions. Each test is one attack; `mutations.py` names the check it meets."""

from __future__ import annotations

import json

from joserfc.jwk import OKPKey, RSAKey

from gateway.identity import Method, add_key, change_method, retire_key, revoke_client
from gateway.identity.base64url import decode
from tests.identity.world import ISSUER, NOW, World, build_second_client, sign_raw

DECADE = 315_360_000


async def test_assertion_signed_by_a_strangers_key(world: World) -> None:
    assert (await world.refusal(key=OKPKey.generate_key("Ed25519"))).code == "ASSERTION_SIGNATURE"


async def test_assertion_signed_under_a_kid_that_is_not_the_clients(world: World) -> None:
    assert (await world.refusal(header={"kid": "another"})).code == "ASSERTION_SIGNATURE"


async def test_assertion_signed_by_a_retired_key(world: World) -> None:
    async with world.database.transaction() as tx:
        second = OKPKey.generate_key("Ed25519").as_dict(private=False)
        await add_key(tx, client_id=world.client, jwk=second, now_ms=world.clock())
        await retire_key(tx, client_id=world.client, thumbprint=world.kid)
    assert (await world.refusal()).code == "ASSERTION_SIGNATURE"


async def test_assertion_signed_by_a_key_that_does_not_count_yet(world: World) -> None:
    key, header = await _another(world, nbf=NOW + 60)
    assert (await world.refusal(key=key, header=header)).code == "ASSERTION_SIGNATURE"


async def test_assertion_signed_by_a_key_whose_time_is_over(world: World) -> None:
    key, header = await _another(world, exp=NOW + 60)
    await world.ask(key=key, header=header)
    world.clock.pass_seconds(61)
    assert (await world.refusal(key=key, header=header)).code == "ASSERTION_SIGNATURE"


async def _another(world: World, **times: int) -> tuple[OKPKey, dict[str, str]]:
    """A further key of the client with a time of its own."""
    key = OKPKey.generate_key("Ed25519")
    async with world.database.transaction() as tx:
        jwk = {**key.as_dict(private=False), **times}
        return key, {"kid": await add_key(tx, client_id=world.client, jwk=jwk, now_ms=world.clock())}


async def test_assertion_of_a_revoked_client(world: World) -> None:
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    assert (await world.refusal()).code == "CLIENT_REVOKED"


async def test_assertion_of_a_client_that_never_was(world: World) -> None:
    assert (await world.refusal(iss="nobody", sub="nobody")).code == "CLIENT_UNKNOWN"


async def test_assertion_by_an_algorithm_that_the_key_is_not_pinned_to(world: World) -> None:
    key = RSAKey.generate_key(2048)
    async with world.database.transaction() as tx:
        kid = await add_key(tx, client_id=world.client, jwk=key.as_dict(private=False), now_ms=world.clock())
    await world.ask(key=key, header={"kid": kid, "alg": "PS256"})
    assert (await world.refusal(key=key, header={"kid": kid, "alg": "RS256"})).code == "ASSERTION_SIGNATURE"


async def test_assertion_made_for_another_server(world: World) -> None:
    assert (await world.refusal(aud="https://elsewhere.example")).code == "ASSERTION_AUDIENCE"


async def test_assertion_made_for_several_servers(world: World) -> None:
    assert (await world.refusal(aud=[ISSUER])).code == "ASSERTION_AUDIENCE"


async def test_assertion_made_for_the_token_endpoint(world: World) -> None:
    assert (await world.refusal(aud=f"{ISSUER}/token")).code == "ASSERTION_AUDIENCE"


async def test_assertion_that_is_a_request_object_without_subject(world: World) -> None:
    assert (await world.refusal(sub=...)).code == "ASSERTION_SUBJECT"


async def test_assertion_in_the_name_of_another_client(world: World) -> None:
    other = await build_second_client(world)
    assert (await world.refusal(form={"client_id": other.client})).code == "CLIENT_MISMATCH"


async def test_assertion_that_can_be_used_for_ever_without_jti(world: World) -> None:
    assert (await world.refusal(jti=...)).code == "ASSERTION_JTI"


async def test_assertion_with_a_jti_that_somebody_can_guess(world: World) -> None:
    assert (await world.refusal(jti="1")).code == "ASSERTION_JTI"


async def test_assertion_that_has_expired(world: World) -> None:
    assert (await world.refusal(iat=NOW - 120, exp=NOW - 60)).code == "ASSERTION_EXPIRED"


async def test_assertion_issued_in_the_future(world: World) -> None:
    assert (await world.refusal(iat=NOW + 70, exp=NOW + 120)).code == "ASSERTION_ISSUED_AHEAD"


async def test_assertion_not_valid_before_the_future(world: World) -> None:
    assert (await world.refusal(nbf=NOW + 70, exp=NOW + 120)).code == "ASSERTION_NOT_YET"


async def test_assertion_for_ten_years(world: World) -> None:
    assert (await world.refusal(exp=NOW + DECADE)).code == "ASSERTION_LIFETIME"


async def test_assertion_for_ten_years_that_hides_when_it_was_issued(world: World) -> None:
    assert (await world.refusal(iat=..., exp=NOW + DECADE)).code == "ASSERTION_LIFETIME"


async def test_assertion_whose_nbf_is_a_truth_value(world: World) -> None:
    assert (await world.refusal(nbf=True)).code == "ASSERTION_TIMES"


async def test_assertion_whose_nbf_is_beyond_all_numbers(world: World) -> None:
    assert (await world.refusal(nbf=-1e300)).code == "ASSERTION_TIMES"


async def test_assertion_that_is_another_kind_of_token(world: World) -> None:
    assert (await world.refusal(typ="at+jwt")).code == "ASSERTION_TYPE"


async def test_assertion_whose_typ_is_no_text(world: World) -> None:
    assert (await world.refusal(header={"kid": world.kid, "typ": 7})).code == "ASSERTION_TYPE"


async def test_assertion_of_a_strict_client_without_its_type(world: World) -> None:
    async with world.database.transaction() as tx:
        await change_method(tx, client_id=world.client, method=Method(strict_typ=True))
    assert (await world.refusal(typ="JWT")).code == "ASSERTION_TYPE"


async def test_assertion_stolen_and_used_again(world: World) -> None:
    assertion = {"client_assertion": world.assertion()}
    await world.ask(form=assertion)
    assert (await world.refusal(form=assertion)).code == "ASSERTION_REPLAYED"


async def test_assertion_stolen_and_used_at_another_process(world: World) -> None:
    assertion = {"client_assertion": world.assertion()}
    await world.ask(form=assertion)
    other = world.another_process()
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce(other))
    assert (await world.refusal(identity=other, form=assertion, proof=proof)).code == "ASSERTION_REPLAYED"
    assert len(world.record.granted) == 1


async def test_assertion_of_a_refused_request_used_again(world: World) -> None:
    assertion = {"client_assertion": world.assertion()}
    assert (await world.refusal(form=assertion, details=[])).code == "DETAILS_NOTHING_GRANTED"
    assert (await world.refusal(form=assertion)).code == "ASSERTION_REPLAYED"


async def test_assertion_with_a_critical_extension(world: World) -> None:
    assert (await world.refusal(header={"kid": world.kid, "crit": ["exp"]})).code == "ASSERTION_MALFORMED"


async def test_assertion_with_an_unencoded_payload(world: World) -> None:
    assert (await world.refusal(header={"kid": world.kid, "b64": True})).code == "ASSERTION_MALFORMED"


async def test_assertion_that_says_a_claim_twice(world: World) -> None:
    claims = {"iss": world.client, "sub": world.client, "iat": NOW, "exp": NOW + 60, "jti": "j" * 22, "aud": ISSUER}
    twice = '{"aud":"https://elsewhere.example",' + json.dumps(claims)[1:]
    header = json.dumps({"alg": "Ed25519", "typ": "JWT", "kid": world.kid})
    assertion = {"client_assertion": sign_raw(header, twice, world.key)}
    assert (await world.refusal(form=assertion)).code == "ASSERTION_MALFORMED"


async def test_assertion_in_a_second_spelling(world: World) -> None:
    """The last character of a 64-byte signature carries four bits that mean nothing."""
    good = world.assertion()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(good[-1])
    other = good[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last + 1]
    assert decode(good.rpartition(".")[2])
    assert (await world.refusal(form={"client_assertion": other})).code == "ASSERTION_MALFORMED"


async def test_assertion_blown_up_to_keep_the_server_busy(world: World) -> None:
    assert (await world.refusal(padding="x" * 8192)).code == "ASSERTION_MALFORMED"


async def test_assertion_with_a_header_blown_up(world: World) -> None:
    assert (await world.refusal(header={"kid": world.kid, "x": "x" * 4096})).code == "ASSERTION_MALFORMED"


async def test_assertion_in_four_parts(world: World) -> None:
    assert (await world.refusal(form={"client_assertion": world.assertion() + ".e30"})).code == "ASSERTION_MALFORMED"

"""Ambiguous and foreign token requests; keys that must not be registered; floods; certificates from anybody."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import OKPKey, RSAKey

from gateway.identity import Rate, Rates, TokenRefused, add_key
from gateway.identity.base64url import encode
from gateway.identity.keys import KeyRefused
from tests.identity.authority import Authority, self_signed
from tests.identity.test_authentication import NAMES, PKI, _certificates
from tests.identity.world import ISSUER, JWT_BEARER, NOW, World, certified

RATES = Rates(client=Rate(1, 3), stranger=Rate(1, 3))
FORM = b"application/x-www-form-urlencoded"


def _body(world: World, more: str = "") -> bytes:
    good = {
        "grant_type": "client_credentials",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": world.assertion(),
        "authorization_details": '[{"type":"alliance_member","actions":["draft"]}]',
    }
    return (urlencode(good) + more).encode()


def _headers(world: World, *more: tuple[bytes, bytes], kind: bytes = FORM) -> list[tuple[bytes, bytes]]:
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce())
    return [(b"content-type", kind), (b"dpop", proof.encode()), *more]


async def test_request_with_a_parameter_twice(world: World) -> None:
    await world.ask(body=_body(world))
    assert (await world.refusal(body=_body(world, "&x=1&x=2"))).code == "FORM_DUPLICATE"


async def test_request_that_is_no_form(world: World) -> None:
    refused = await world.refusal(body=_body(world), headers=_headers(world, kind=b"text/plain"))
    assert refused.code == "FORM_TYPE"


async def test_request_with_a_broken_escape(world: World) -> None:
    assert (await world.refusal(body=_body(world, "&x=%zz"))).code == "FORM_ENCODING"


async def test_request_blown_up_to_keep_the_server_busy(world: World) -> None:
    assert (await world.refusal(body=_body(world, "&x=" + "x" * 40_000))).code == "FORM_TOO_LARGE"


async def test_request_with_parameters_without_end(world: World) -> None:
    many = "".join(f"&x{number}=1" for number in range(40))
    assert (await world.refusal(body=_body(world, many))).code == "FORM_PARAMETERS"


async def test_request_with_a_shared_secret_beside_the_assertion(world: World) -> None:
    assert (await world.refusal(form={"client_secret": "guess"})).code == "CLIENT_METHOD"


async def test_request_with_a_password_beside_the_assertion(world: World) -> None:
    basic = (b"authorization", b"Basic YTpi")
    assert (await world.refusal(headers=_headers(world, basic))).code == "CLIENT_METHOD"


async def test_request_with_an_assertion_of_another_kind(world: World) -> None:
    kind = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    assert (await world.refusal(form=kind)).code == "ASSERTION_MISSING"


async def test_request_for_another_grant(world: World) -> None:
    assert (await world.refusal(form={"grant_type": "password"})).code == "GRANT_TYPE"


async def test_request_for_a_scope(world: World) -> None:
    assert (await world.refusal(form={"scope": "everything"})).code == "SCOPE"


async def test_request_for_another_resource(world: World) -> None:
    assert (await world.refusal(form={"resource": "https://elsewhere.example/v1"})).code == "RESOURCE"


async def test_flood_of_a_client(world: World) -> None:
    identity = world.another_process(rates=RATES)
    for _ in range(3):
        await world.ask(identity=identity, peer="198.51.100.1")
    assert (await world.refusal(identity=identity, peer="198.51.100.1")).code == "FLOOD_OF_CLIENT"


async def test_flood_of_strangers(world: World) -> None:
    identity, stranger = world.another_process(rates=RATES), OKPKey.generate_key("Ed25519")
    codes = []
    for number in range(5):
        try:
            await world.ask(identity=identity, peer="198.51.100.1", key=stranger, iss=f"nobody{number}")
        except TokenRefused as refused:
            codes.append(refused.code)
    assert codes == ["CLIENT_UNKNOWN"] * 3 + ["FLOOD_OF_STRANGERS"] * 2


async def _registers(world: World, jwk: dict[str, Any]) -> None:
    async with world.database.transaction() as tx:
        await add_key(tx, client_id=world.client, jwk=jwk, now_ms=world.clock())


def _rsa(**changes: Any) -> dict[str, Any]:
    return {**RSAKey.generate_key(2048).as_dict(private=False), **changes}


async def test_key_that_is_private(world: World) -> None:
    with pytest.raises(KeyRefused):
        await _registers(world, OKPKey.generate_key("Ed25519").as_dict(private=True))


async def test_key_that_can_be_factored(world: World) -> None:
    modulus = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    with pytest.raises(KeyRefused):
        await _registers(world, _rsa(n=encode(modulus.to_bytes(128, "big"))))


async def test_key_with_a_small_exponent(world: World) -> None:
    with pytest.raises(KeyRefused):
        await _registers(world, _rsa(e="Aw"))


async def test_key_in_a_second_spelling(world: World) -> None:
    with pytest.raises(KeyRefused):
        await _registers(world, _rsa(e="AAEAAQ"))


async def test_key_under_which_anybodys_signature_holds(world: World) -> None:
    """The neutral point of Ed25519: one signature holds over every text, so it binds no token and proves no client."""
    with pytest.raises(KeyRefused):
        await _registers(world, {"kty": "OKP", "crv": "Ed25519", "x": encode(b"\1" + bytes(31))})


async def test_key_for_encryption(world: World) -> None:
    with pytest.raises(KeyRefused):
        await _registers(world, _rsa(use="enc"))


async def test_key_for_an_algorithm_that_is_not_accepted(world: World) -> None:
    with pytest.raises(KeyRefused):
        await _registers(world, _rsa(alg="RS256"))


async def test_certificate_header_from_anybody(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    await client.ask(mine.header)
    assert (await client.refusal(mine.header, peer="10.9.9.9")).code == "CERTIFICATE_MISSING"


async def test_certificate_header_from_the_proxys_neighbour_without_its_secret(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    headers = [(b"content-type", FORM), (b"client-cert-verify", b"SUCCESS"), (b"client-cert", mine.header)]
    form = {"client_id": client.client, "client_assertion": None, "client_assertion_type": None}
    refused = await world.refusal(
        identity=client.identity, headers=[*headers, (b"gateway-proxy", b"guess")], form=form, peer="10.0.0.7"
    )
    assert refused.code == "CERTIFICATE_MISSING"


async def test_certificate_beside_a_second_certificate(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    more = [(b"client-cert", mine.header)]
    assert (await client.refusal(mine.header, more=more)).code == "CERTIFICATE_MISSING"


async def test_certificate_with_the_name_and_no_good_chain(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    assert (await client.refusal(mine.header, verdict=b"FAILED")).code == "CERTIFICATE_FOREIGN"


async def test_certificate_of_somebody_else(world: World) -> None:
    client = await certified(world, _certificates(self_signed(now=NOW).thumbprint))
    assert (await client.refusal(self_signed(now=NOW).header)).code == "CERTIFICATE_FOREIGN"


async def test_certificate_that_has_expired(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES, ends=60)
    world.clock.pass_seconds(61)
    assert (await client.refusal(mine.header)).code == "CERTIFICATE_EXPIRED"


async def test_token_bound_to_a_certificate_on_another_connection(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    token = await client.token(mine.header)
    assert (await client.challenge(token, self_signed(now=NOW).header)).reason == "TOKEN_BINDING"


async def test_token_bound_to_a_certificate_that_has_expired(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES, ends=60)
    token = await client.token(mine.header)
    world.clock.pass_seconds(61)
    assert (await client.challenge(token, mine.header)).reason == "CERTIFICATE_EXPIRED"

"""Which client calls: by which method, with which certificate, and what its token is bound to (RFC 8705)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.x509 import DNSName
from joserfc.jwk import OKPKey

from gateway.database import AlreadyExists
from gateway.errors import Conflicting, Invalid
from gateway.identity import Binding, Method, MethodName, add_key, change_method, jws, revoke_client
from gateway.identity.certificates import CertificateName
from gateway.identity.clients import find_client, register_client
from tests.identity.authority import Authority, self_signed
from tests.identity.world import ISSUER, JWT_BEARER, NOW, PROXY, World, certified

PKI = Method(
    name=MethodName.TLS_CLIENT_AUTH,
    binding=Binding.CERTIFICATE,
    certificate_name=CertificateName.of("san_dns", "core.bank.example"),
)
BY_DN = Method(
    name=MethodName.TLS_CLIENT_AUTH,
    binding=Binding.CERTIFICATE,
    certificate_name=CertificateName.of("subject_dn", "CN=core,O=Bank,C=CN"),
)
NAMES = (DNSName("core.bank.example"),)


def _certificates(*thumbprints: str) -> Method:
    return Method(
        name=MethodName.SELF_SIGNED_TLS_CLIENT_AUTH, binding=Binding.CERTIFICATE, certificates=tuple(thumbprints)
    )


BOUND = Method(binding=Binding.CERTIFICATE)


@pytest.mark.parametrize("method", [PKI, BY_DN], ids=["san_dns", "subject_dn"])
async def test_a_certificate_with_the_registered_name_gets_a_token_bound_to_it(world: World, method: Method) -> None:
    client, mine = await certified(world, method), Authority(NOW).issue(names=NAMES)
    answer = await client.ask(mine.header)
    assert answer.body["token_type"] == "Bearer"
    claims = json.loads(jws.take_apart(answer.body["access_token"], limit=10_000).payload)
    assert claims["cnf"] == {"x5t#S256": mine.thumbprint}
    assert claims["sub"] == f"client:{client.client}"
    subject = await client.call(answer.body["access_token"], mine.header)
    assert (subject.client, subject.jkt, subject.certificate) == (client.client, "", mine.thumbprint)
    assert subject == world.record.granted[-1]
    assert subject.actor()["x5t#S256"] == mine.thumbprint
    assert "jkt" not in subject.actor()


async def test_a_registered_certificate_that_signs_itself_gets_a_token(world: World) -> None:
    mine, next_one = self_signed(now=NOW), self_signed(now=NOW)
    client = await certified(world, _certificates(mine.thumbprint, next_one.thumbprint))
    for certificate in (mine, next_one):
        token = (await client.ask(certificate.header, verdict=b"FAILED:self-signed certificate")).body["access_token"]
        await client.call(token, certificate.header)


async def test_an_assertion_may_come_with_a_binding_to_the_connections_certificate(world: World) -> None:
    client, mine = await certified(world, BOUND), self_signed(now=NOW)
    key = OKPKey.generate_key("Ed25519")
    async with world.database.transaction() as tx:
        await add_key(tx, client_id=client.client, jwk=key.as_dict(private=False), now_ms=world.clock())

    def assertion() -> dict[str, str | None]:
        signed = world.assertion(key=key, header={}, iss=client.client, sub=client.client)
        return {"client_id": None, "client_assertion": signed, "client_assertion_type": JWT_BEARER}

    answer = await client.ask(mine.header, form=assertion(), verdict=b"FAILED:x")
    assert answer.body["token_type"] == "Bearer"
    await client.call(answer.body["access_token"], mine.header)
    assert (await client.refusal(None, form=assertion())).code == "CERTIFICATE_MISSING"
    assert world.record.refused == [(client.client, "CERTIFICATE_MISSING")]
    assert (await client.refusal(mine.header)).code == "CLIENT_METHOD"
    spent = assertion()
    await client.ask(mine.header, form=spent)
    assert (await client.refusal(mine.header, form=spent)).code == "ASSERTION_REPLAYED"


async def test_a_renewed_certificate_authenticates_and_old_tokens_keep_to_the_old_one(world: World) -> None:
    authority = Authority(NOW)
    old, new = authority.issue(names=NAMES), authority.issue(names=NAMES)
    client = await certified(world, PKI)
    token = await client.token(old.header)
    assert (await client.challenge(token, new.header)).reason == "TOKEN_BINDING"
    await client.call(await client.token(new.header), new.header)
    await client.call(token, old.header)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"names": (DNSName("other.bank.example"),)}, "CERTIFICATE_FOREIGN"),
        ({"names": ()}, "CERTIFICATE_FOREIGN"),
        ({"names": NAMES, "ends": -1}, "CERTIFICATE_EXPIRED"),
        ({"names": NAMES, "begins": 1}, "CERTIFICATE_EXPIRED"),
    ],
)
async def test_a_certificate_that_is_not_good_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    client = await certified(world, PKI)
    refused = await client.refusal(Authority(NOW).issue(**changes).header)
    assert (refused.error, refused.code, refused.status) == ("invalid_client", code, 401)
    assert refused.description == "The client is not authenticated."


@pytest.mark.parametrize("verdict", [b"NONE", b"FAILED:unable to get local issuer certificate", b"", b"success"])
async def test_a_name_is_worth_nothing_without_a_good_chain(world: World, verdict: bytes) -> None:
    client = await certified(world, PKI)
    refused = await client.refusal(self_signed(names=NAMES, now=NOW).header, verdict=verdict)
    assert refused.code == "CERTIFICATE_FOREIGN"
    assert world.record.refused == []


async def test_a_good_chain_is_worth_nothing_for_a_registered_certificate(world: World) -> None:
    client = await certified(world, _certificates(self_signed(now=NOW).thumbprint))
    assert (await client.refusal(Authority(NOW).issue().header)).code == "CERTIFICATE_FOREIGN"


async def test_a_certificate_of_the_same_key_is_another_certificate(world: World) -> None:
    mine = self_signed(now=NOW)
    client = await certified(world, _certificates(mine.thumbprint))
    assert (await client.refusal(self_signed(now=NOW, key=mine.key).header)).code == "CERTIFICATE_FOREIGN"


async def test_another_clients_certificate_is_refused(world: World) -> None:
    mine, theirs = self_signed(now=NOW), self_signed(now=NOW)
    client = await certified(world, _certificates(mine.thumbprint))
    other = await certified(world, _certificates(theirs.thumbprint))
    assert (await client.refusal(theirs.header)).code == "CERTIFICATE_FOREIGN"
    token = await client.token(mine.header)
    assert (await client.challenge(token, theirs.header)).reason == "TOKEN_BINDING"
    await other.ask(theirs.header)


@pytest.mark.parametrize("peer", ["", "10.0.0.8", "unix", "127.0.0.1"])
async def test_a_certificate_header_from_anybody_else_is_as_if_not_sent(world: World, peer: str) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    assert (await client.refusal(mine.header, peer=peer)).code == "CERTIFICATE_MISSING"
    token = await client.token(mine.header)
    assert (await client.challenge(token, mine.header, peer=peer)).reason == "CERTIFICATE_MISSING"


async def test_an_unreadable_certificate_is_a_refusal_at_both_servers(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    token = await client.token(mine.header)
    for broken in (b":AAAA:", b"AAAA", mine.header[:-5]):
        assert (await client.refusal(broken)).code == "CERTIFICATE_MALFORMED"
        assert (await client.challenge(token, broken)).reason == "CERTIFICATE_MALFORMED"


async def test_two_certificates_are_none(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    second = [(b"client-cert", mine.header)]
    assert (await client.refusal(mine.header, more=second)).code == "CERTIFICATE_MISSING"
    token = await client.token(mine.header)
    assert (await client.challenge(token, mine.header, more=second)).reason == "CERTIFICATE_MISSING"


@pytest.mark.parametrize(
    "form",
    [
        {"client_assertion": "a.b.c", "client_assertion_type": JWT_BEARER},
        {"client_assertion_type": JWT_BEARER},
        {"client_assertion": "a.b.c"},
        {"client_secret": "secret"},
        {"client_id": None},
        {"client_id": "x" * 129},
        {"client_id": "nobody"},
    ],
)
async def test_a_certificate_beside_another_method_is_refused(world: World, form: dict[str, str | None]) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    refused = await client.refusal(mine.header, form=form)
    assert (refused.error, refused.status) == ("invalid_client", 401)


async def test_two_methods_that_both_hold_are_one_too_many(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    key = OKPKey.generate_key("Ed25519")
    async with world.database.transaction() as tx:
        await add_key(tx, client_id=client.client, jwk=key.as_dict(private=False), now_ms=world.clock())
    signed = world.assertion(key=key, header={}, iss=client.client, sub=client.client)
    form: dict[str, str | None] = {"client_assertion": signed, "client_assertion_type": JWT_BEARER}
    assert (await client.refusal(mine.header, form=form)).code == "CLIENT_METHOD"


async def test_a_client_of_assertions_gets_nothing_for_a_certificate(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    assert (await client.refusal(mine.header, form={"client_id": world.client})).code == "CLIENT_METHOD"


async def test_a_token_bound_to_a_certificate_comes_without_a_proof(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce(client.identity)).encode()
    refused = await client.refusal(mine.header, more=[(b"dpop", proof)])
    assert (refused.error, refused.code) == ("invalid_dpop_proof", "PROOF_UNEXPECTED")
    token = await client.token(mine.header)
    assert (await client.challenge(token, mine.header, more=[(b"dpop", b"any")])).reason == "PROOF_UNEXPECTED"


async def test_a_bound_token_is_refused_without_its_certificate(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    token = await client.token(mine.header)
    challenge = await client.challenge(token, None)
    assert (challenge.error, challenge.reason) == ("invalid_token", "CERTIFICATE_MISSING")
    assert challenge.headers()[0][1].startswith('Bearer error="invalid_token", resource_metadata=')
    assert (await client.challenge(token, self_signed(now=NOW).header)).reason == "TOKEN_BINDING"
    await client.call(token, mine.header, scheme="bearer")


async def test_a_certificate_that_expires_ends_its_tokens(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES, ends=60)
    token = await client.token(mine.header)
    world.clock.pass_seconds(60)
    await client.call(token, mine.header)
    world.clock.pass_seconds(1)
    assert (await client.challenge(token, mine.header)).reason == "CERTIFICATE_EXPIRED"


async def test_neither_binding_opens_the_others_door(world: World) -> None:
    """A DPoP token under Bearer with any certificate, and a certificate's token under DPoP with a good proof."""
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    bound_to_key = await world.token(identity=client.identity)
    assert (await client.challenge(bound_to_key, mine.header)).reason == "TOKEN_BINDING"
    bound_to_certificate = await client.token(mine.header)
    assert (await world.challenge(bound_to_certificate, identity=client.identity)).reason == "TOKEN_BINDING"


async def test_without_a_trusted_proxy_bearer_is_no_scheme(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    token = await client.token(mine.header)
    challenge = await client.challenge(token, mine.header, identity=world.another_process())
    assert (challenge.reason, challenge.scheme) == ("TOKEN_SCHEME", "DPoP")


async def test_a_revoked_client_gets_nothing_for_its_certificate(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=client.client)
    assert (await client.refusal(mine.header)).code == "CLIENT_REVOKED"
    assert world.record.refused == [(client.client, "CLIENT_REVOKED")]


async def test_an_empty_request_yields_nothing_for_a_certificate_too(world: World) -> None:
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    for details in (None, "[]", '[{"type":"alliance_member"}]'):
        refused = await client.refusal(mine.header, form={"authorization_details": details})
        assert refused.error == "invalid_authorization_details"
    assert world.record.granted == []


async def test_metadata_says_what_is_offered(world: World) -> None:
    client = await certified(world, PKI)
    server, resource = client.identity.server_metadata(), client.identity.resource_metadata()
    methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
    assert server["token_endpoint_auth_methods_supported"] == methods
    assert server["tls_client_certificate_bound_access_tokens"] is True
    assert server["mtls_endpoint_aliases"]["token_endpoint"] == "https://gateway.example:9443/token"
    assert resource["tls_client_certificate_bound_access_tokens"] is True
    assert resource["dpop_bound_access_tokens_required"] is False
    without = world.identity.server_metadata()
    assert without["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert "mtls_endpoint_aliases" not in without
    assert world.identity.resource_metadata()["dpop_bound_access_tokens_required"] is True


@pytest.mark.parametrize(
    ("typ", "accepted"),
    [
        ("client-authentication+jwt", True),
        ("application/client-authentication+jwt", True),
        ("JWT", False),
        (..., False),
        ("at+jwt", False),
    ],
)
async def test_a_strict_client_says_what_its_assertion_is(world: World, typ: Any, accepted: bool) -> None:
    async with world.database.transaction() as tx:
        await change_method(tx, client_id=world.client, method=Method(strict_typ=True))
    if accepted:
        await world.ask(typ=typ)
    else:
        assert (await world.refusal(typ=typ)).code == "ASSERTION_TYPE"


async def test_a_key_in_an_assertions_header_is_never_used(world: World) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    own = self_signed(now=NOW)
    headers: list[dict[str, Any]] = [
        {"jwk": stranger.as_dict(private=False)},
        {"jwk": stranger.as_dict(private=False), "kid": world.kid},
        {"jku": "https://evil.example/jwks", "kid": world.kid},
        {"x5u": "https://evil.example/chain", "x5c": [own.header.strip(b":").decode()]},
    ]
    for header in headers:
        assert (await world.refusal(key=stranger, header=header)).code == "ASSERTION_SIGNATURE"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": MethodName.TLS_CLIENT_AUTH, "binding": Binding.CERTIFICATE},
        {"name": MethodName.TLS_CLIENT_AUTH, "certificate_name": PKI.certificate_name},
        {"certificate_name": PKI.certificate_name},
        {"name": MethodName.SELF_SIGNED_TLS_CLIENT_AUTH, "binding": Binding.CERTIFICATE},
        {"certificates": ("A" * 43,)},
        {"name": MethodName.SELF_SIGNED_TLS_CLIENT_AUTH, "binding": Binding.CERTIFICATE, "certificates": ("abc",)},
        {
            "name": MethodName.SELF_SIGNED_TLS_CLIENT_AUTH,
            "binding": Binding.CERTIFICATE,
            "certificates": ("A" * 43, "A" * 43),
        },
        {
            "name": MethodName.SELF_SIGNED_TLS_CLIENT_AUTH,
            "binding": Binding.CERTIFICATE,
            "certificates": tuple(f"{letter}" + "A" * 42 for letter in "ABCDEFGHI"),
        },
        {
            "name": MethodName.TLS_CLIENT_AUTH,
            "binding": Binding.CERTIFICATE,
            "certificate_name": PKI.certificate_name,
            "strict_typ": True,
        },
    ],
)
def test_what_does_not_go_together_is_not_registered(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        Method(**wrong)
    assert refused.value.code == "invalid_method"


@pytest.mark.parametrize(
    "method", [Method(), Method(strict_typ=True), BOUND, PKI, BY_DN, _certificates("A" * 43, "B" + "A" * 42)]
)
async def test_a_method_is_read_back_as_it_was_registered(each_world: World, method: Method) -> None:
    async with each_world.database.transaction() as tx:
        client = await register_client(tx, member_id="bank", name="one", now_ms=0, method=method)
    known = await find_client(each_world.database, client, 0)
    assert known is not None
    assert known.method == method


async def test_a_name_or_certificate_speaks_for_one_client(each_world: World) -> None:
    world = each_world
    one, two = "A" * 43, "B" + "A" * 42
    for method in (PKI, _certificates(one, two)):
        await certified(world, method)
    for taken in (PKI, _certificates(two)):
        with pytest.raises(AlreadyExists):
            await certified(world, taken)


async def test_a_changed_method_ends_the_clients_tokens(world: World) -> None:
    subject = await world.call(await world.token())
    async with world.database.transaction() as tx:
        await change_method(tx, client_id=world.client, method=PKI)
    with pytest.raises(Exception, match="invalid_token"):
        await world.identity.require_active(subject)
    assert (await world.refusal()).code == "CLIENT_METHOD"
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    with pytest.raises(Conflicting):
        async with world.database.transaction() as tx:
            await change_method(tx, client_id=world.client, method=Method())


async def test_the_proxys_address_is_the_one_that_counts(world: World) -> None:
    """Of what the proxy says nothing is believed without its secret."""
    client, mine = await certified(world, PKI), Authority(NOW).issue(names=NAMES)
    token = await client.token(mine.header)
    for secret in ([], [(b"gateway-proxy", b"S" * 32)], [(b"gateway-proxy", b"s" * 31)]):
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"client-cert", mine.header), *secret]
        with pytest.raises(Exception, match="invalid_token"):
            await client.identity.authenticate("GET", "/v1/things", headers, PROXY)

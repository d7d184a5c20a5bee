"""What is asked, what is granted, and how a request must be written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from gateway.errors import Unavailable
from gateway.identity import AgreementGrant, Grants, Offer, jws, revoke_client
from gateway.identity.forms import BODY_BYTES, parse_form
from gateway.identity.grants import _narrow
from gateway.identity.refusals import TokenRefused
from gateway.identity.security_log import by_code
from tests.identity.world import ISSUER, JWT_BEARER, NOW, RESOURCE, World

FORM = b"application/x-www-form-urlencoded"


def _agreement(**changes: Any) -> dict[str, Any]:
    return {
        "type": "alliance_agreement", "agreement": "deal", "datasets": ["flights", "people"],
        "purposes": ["planning", "service"], "actions": ["read"], **changes,
    }  # fmt: skip


def _offer(world: World, *, ends_at: int = NOW + 10_000, actions: tuple[str, ...] = ("read",), **datasets: Any) -> None:
    world.terms.offers["bank", "deal"] = Offer(datasets, actions, ends_at)


async def test_a_token_is_an_rfc_9068_jwt_bound_to_the_proof(world: World) -> None:
    answer = await world.ask()
    assert answer.body["token_type"] == "DPoP"
    assert answer.body["expires_in"] == 300
    parts = jws.take_apart(answer.body["access_token"], limit=10_000)
    claims = json.loads(parts.payload)
    assert parts.header == {"alg": "Ed25519", "typ": "at+jwt", "kid": world.token_key.kid}
    assert claims["cnf"] == {"jkt": world.dpop.thumbprint()}
    assert (claims["iss"], claims["aud"]) == (ISSUER, RESOURCE)
    assert (claims["sub"], claims["client_id"]) == (f"client:{world.client}", world.client)
    assert (claims["iat"], claims["exp"]) == (NOW, NOW + 300)
    assert (claims["alliance"], claims["member"], claims["client_version"]) == ("alliance", "bank", 1)
    assert claims["authorization_details"] == answer.body["authorization_details"]
    assert len(claims["jti"]) >= 22


async def test_member_actions_are_narrowed_to_those_that_exist(world: World) -> None:
    answer = await world.ask(details=[{"type": "alliance_member", "actions": ["audit", "draft", "rule"]}])
    assert answer.body["authorization_details"] == [{"type": "alliance_member", "actions": ["audit", "draft"]}]


async def test_an_agreement_is_narrowed_to_its_offer(world: World) -> None:
    _offer(world, flights=["planning", "audit"], hotels=["planning"])
    answer = await world.ask(details=[_agreement(datasets=["flights", "people", "hotels"], actions=["read", "copy"])])
    assert answer.body["authorization_details"] == [
        _agreement(datasets=["flights", "hotels"], purposes=["planning"], actions=["read"])
    ]


async def test_no_dataset_gains_its_neighbours_purpose(world: World) -> None:
    _offer(world, flights=["planning"], people=["service"])
    answer = await world.ask(details=[_agreement()])
    assert answer.body["authorization_details"] == [
        _agreement(datasets=["flights"], purposes=["planning"]),
        _agreement(datasets=["people"], purposes=["service"]),
    ]
    subject = await world.call(answer.body["access_token"])
    assert subject.agreements == (
        AgreementGrant("deal", ("flights",), ("planning",), ("read",)),
        AgreementGrant("deal", ("people",), ("service",), ("read",)),
    )


_NAMES = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)


@given(_NAMES, _NAMES, _NAMES, st.dictionaries(st.sampled_from("abcde"), _NAMES), _NAMES)
@settings(max_examples=200, deadline=None)
def test_what_is_granted_is_exactly_the_intersection(
    datasets: list[str], purposes: list[str], actions: list[str], offered: dict[str, list[str]], may: list[str]
) -> None:
    asked = AgreementGrant("deal", tuple(datasets), tuple(purposes), tuple(actions))
    granted = _narrow(asked, Offer(offered, may, NOW))
    triples = {(d, p, a) for one in granted for d in one.datasets for p in one.purposes for a in one.actions}
    wanted = {(d, p, a) for d in datasets for p in purposes for a in actions}
    assert triples == {(d, p, a) for d, p, a in wanted if p in offered.get(d, ()) and a in may}


@pytest.mark.parametrize(
    "details",
    [
        [],
        [{"type": "alliance_member", "actions": []}],
        [{"type": "alliance_member"}],
        [{"type": "alliance_member", "actions": ["rule"]}],
        [_agreement(datasets=[])],
        [_agreement(purposes=[])],
        [_agreement(actions=[])],
        [_agreement(purposes=["other"])],
        [_agreement(agreement="unknown")],
    ],
)
async def test_nothing_asked_or_offered_is_nothing_granted(world: World, details: Any) -> None:
    _offer(world, flights=["planning"])
    refused = await world.refusal(details=details)
    assert (refused.error, refused.code) == ("invalid_authorization_details", "DETAILS_NOTHING_GRANTED")
    assert world.record.refused == [(world.client, "DETAILS_NOTHING_GRANTED")]


@pytest.mark.parametrize(
    "details",
    [
        {"type": "alliance_member", "actions": ["draft"]},
        "draft",
        None,
        ["draft"],
        [{"type": "payment", "actions": ["draft"]}],
        [{"actions": ["draft"]}],
        [{"type": ["alliance_member"], "actions": ["draft"]}],
        [{"type": "alliance_member", "actions": ["draft"], "locations": []}],
        [{"type": "alliance_member", "actions": "draft"}],
        [{"type": "alliance_member", "actions": ["draft", 7]}],
        [{"type": "alliance_member", "actions": ["draft", "draft"]}],
        [{"type": "alliance_member", "actions": [f"a{n}" for n in range(65)]}],
        [{"type": "alliance_member", "actions": ["draft"]}] * 17,
        [_agreement(agreement=...)],
        [_agreement(agreement=7)],
        [_agreement(agreement="a" * 129)],
        [_agreement(identifier="x")],
        [_agreement(datasets=None)],
        [{"type": "alliance_member", "actions": ["draft"]}, {"type": "unknown"}],
    ],
)
async def test_unknown_types_fields_and_shapes_are_refused(world: World, details: Any) -> None:
    text = json.dumps(details, default=lambda _: {})
    refused = await world.refusal(form={"authorization_details": text})
    assert (refused.error, refused.code) == ("invalid_authorization_details", "DETAILS_MALFORMED")


@pytest.mark.parametrize(
    "text", ["[", '[{"type":"alliance_member","actions":["draft"],"actions":[]}]', "[NaN]", "[" * 2000]
)
async def test_details_that_are_no_strict_json_are_refused(world: World, text: str) -> None:
    assert (await world.refusal(form={"authorization_details": text})).code == "DETAILS_MALFORMED"


async def test_details_are_required_and_capped(world: World) -> None:
    assert (await world.refusal(form={"authorization_details": None})).code == "DETAILS_MISSING"
    assert (await world.refusal(form={"authorization_details": " " * 7000})).code == "DETAILS_TOO_LARGE"


async def test_a_grant_too_large_for_a_header_is_refused(world: World) -> None:
    names, purposes = [f"dataset-{n}" for n in range(60)], [f"purpose-{n}-{'p' * 20}" for n in range(60)]
    offered = {name: purposes[: n + 1] for n, name in enumerate(names)}
    world.terms.offers["bank", "deal"] = Offer(offered, ("read",), NOW + 10)
    refused = await world.refusal(details=[_agreement(datasets=names, purposes=purposes)])
    assert refused.code == "DETAILS_TOO_LARGE"


@pytest.mark.parametrize(("left", "life"), [(1, 1), (299, 299), (300, 300), (301, 300)])
async def test_a_token_never_outlives_its_agreement(world: World, left: int, life: int) -> None:
    _offer(world, flights=["planning"], ends_at=NOW + left)
    answer = await world.ask(details=[_agreement(), {"type": "alliance_member", "actions": ["draft"]}])
    assert answer.body["expires_in"] == life
    token = answer.body["access_token"]
    world.clock.pass_seconds(life - 1)
    await world.call(token)
    world.clock.pass_seconds(1)
    assert (await world.challenge(token)).reason == "TOKEN_EXPIRED"


async def test_an_ended_agreement_grants_nothing(world: World) -> None:
    _offer(world, flights=["planning"], ends_at=NOW)
    assert (await world.refusal(details=[_agreement()])).code == "DETAILS_NOTHING_GRANTED"


async def test_a_suspended_member_gets_no_token(world: World) -> None:
    world.members.admitted.clear()
    refused = await world.refusal()
    assert (refused.error, refused.code) == ("unauthorized_client", "MEMBER_NOT_ADMITTED")


async def test_a_revoked_client_gets_no_token(world: World) -> None:
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    refused = await world.refusal()
    assert (refused.error, refused.code) == ("invalid_client", "CLIENT_REVOKED")
    assert world.record.refused == [(world.client, "CLIENT_REVOKED")]


async def test_the_same_refusal_is_entered_once_a_minute(world: World) -> None:
    for _ in range(5):
        await world.refusal(details=[])
    assert len(world.record.refused) == 1
    assert by_code(world.identity.log.attempts)["DETAILS_NOTHING_GRANTED"] == 5
    await world.refusal(exp=NOW + 3600)
    assert len(world.record.refused) == 2
    world.clock.pass_seconds(60)
    await world.refusal(details=[])
    assert len(world.record.refused) == 3


async def test_strangers_stay_out_of_the_record(world: World) -> None:
    await world.refusal(key=OKPKey.generate_key("Ed25519"))
    await world.refusal(iss="nobody", sub="nobody")
    assert world.record.refused == []
    assert world.identity.log.attempts == {("ASSERTION_SIGNATURE", world.client): 1, ("CLIENT_UNKNOWN", ""): 1}


async def test_the_security_log_is_bounded_whoever_is_claimed(world: World) -> None:
    for number in range(100):
        await world.refusal(iss=f"{number:032x}", sub=f"{number:032x}")
    assert world.identity.log.attempts == {("CLIENT_UNKNOWN", ""): 100}


async def test_no_record_no_token(world: World) -> None:
    world.record.error = Unavailable("ledger_unavailable", "Not now.")
    refused = await world.refusal()
    assert (refused.error, refused.status) == ("temporarily_unavailable", 503)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"resource": "https://gateway.example/v2"}, "invalid_target"),
        ({"resource": f"{RESOURCE}/"}, "invalid_target"),
        ({"resource": f"{RESOURCE}#fragment"}, "invalid_target"),
        ({"resource": ISSUER}, "invalid_target"),
        ({"client_id": "another"}, "invalid_client"),
        ({"client_assertion_type": None}, "invalid_client"),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, "invalid_client"),
        ({"client_assertion": None}, "invalid_client"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
        ({"client_assertion": "a" * 9000}, "invalid_client"),
        ({"client_secret": "secret"}, "invalid_client"),
        ({"username": "a", "password": "b"}, "invalid_client"),
    ],
)
async def test_a_request_outside_the_profile_is_refused(world: World, form: dict[str, str | None], error: str) -> None:
    assert (await world.refusal(form=form)).error == error


async def test_what_may_be_sent_besides_is_accepted(world: World) -> None:
    await world.ask(form={"client_id": world.client, "resource": RESOURCE, "scope": "", "unknown": "ignored"})


async def test_two_ways_to_authenticate_are_one_too_many(world: World) -> None:
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce()).encode()
    headers = [(b"content-type", FORM), (b"dpop", proof), (b"authorization", b"Basic YTpi")]
    assert (await world.refusal(headers=headers)).code == "CLIENT_METHOD"


async def test_a_parameter_sent_twice_is_refused(world: World) -> None:
    body = urlencode([("client_assertion_type", JWT_BEARER), ("client_assertion", world.assertion())]).encode()
    assert (await world.refusal(body=body + b"&grant_type=client_credentials&grant%5ftype=x")).code == "FORM_DUPLICATE"


@pytest.mark.parametrize(
    "kind", [FORM, FORM + b"; charset=utf-8", FORM + b';charset="UTF-8"', FORM.upper(), FORM + b" ; charset=UTF-8 "]
)
def test_a_form_is_read_as_what_it_says_it_is(kind: bytes) -> None:
    assert parse_form(kind, b"a=1&b=%C3%A9+x&c=&d") == {"a": "1", "b": "é x"}


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (b"", b"a=1", "FORM_TYPE"),
        (b"application/json", b"{}", "FORM_TYPE"),
        (b"multipart/form-data; boundary=x", b"a=1", "FORM_TYPE"),
        (FORM + b"; charset=utf-16", b"a=1", "FORM_TYPE"),
        (FORM + b"x", b"a=1", "FORM_TYPE"),
        (FORM, b"a=1&a=1", "FORM_DUPLICATE"),
        (FORM, b"a=&a=1", "FORM_DUPLICATE"),
        (FORM, b"a=1&%61=2", "FORM_DUPLICATE"),
        (FORM, b"a=%", "FORM_ENCODING"),
        (FORM, b"a=%zz", "FORM_ENCODING"),
        (FORM, b"a=%ff", "FORM_ENCODING"),
        (FORM, b"a=%00", "FORM_ENCODING"),
        (FORM, b"a=\0", "FORM_ENCODING"),
        (FORM, b"a=\xff", "FORM_ENCODING"),
        (FORM, b"&".join(b"p%d=1" % n for n in range(33)), "FORM_PARAMETERS"),
        (FORM, b"a=" + b"x" * (BODY_BYTES - 1), "FORM_TOO_LARGE"),
    ],
)
def test_a_malformed_form_is_refused(kind: bytes, body: bytes, code: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        parse_form(kind, body)
    assert (refused.value.code, refused.value.error) == (code, "invalid_request")


def test_a_form_at_its_limits_is_accepted() -> None:
    assert len(parse_form(FORM, b"&".join(b"p%d=1" % n for n in range(32)))) == 32
    assert parse_form(FORM, b"a=" + b"x" * (BODY_BYTES - 2))["a"]


@pytest.mark.parametrize(
    ("name", "length", "kept"),
    [
        ("authorization_details", 4096, True),
        ("authorization_details", 4097, False),
        ("client_assertion", 300, False),
        ("token", 300, False),
        ("code", 20, False),
        ("contact", 20, False),
    ],
)
def test_of_a_form_only_short_words_that_are_no_secret_are_kept(
    name: str, length: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def noted(text: bytes) -> bytes:
        read.append(text)
        return unquote_to_bytes(text)

    monkeypatch.setattr("gateway.identity.forms.unquote_to_bytes", noted)
    value = name.ljust(length - 3, "x") + "%40"
    for _ in range(2):
        assert parse_form(FORM, f"{name}={value}".encode()) == {name: value[:-3] + "@"}
    assert (len(read) < 2) is kept


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_form_is_read_or_refused_in_our_own_words(body: bytes) -> None:
    try:
        parse_form(FORM, body)
    except TokenRefused as refused:
        assert refused.error == "invalid_request"  # noqa: PT017


def test_granted_details_read_back_as_they_were() -> None:
    grants = Grants((AgreementGrant("deal", ("d",), ("p",), ("read",)),), frozenset(("draft", "audit")))
    assert Grants.of(grants.details()) == grants

"""Attacks on registration: on another's client, with another's keys, on what only two operators may do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey

from gateway.errors import Conflicting, NotFound
from gateway.identity.client_keys import active_keys
from gateway.identity.methods import Method
from tests.access.world import MovableClock, Shared
from tests.alliance import Member, b64, founded, new_key, public

_ROTATE = {"type": "alliance_member", "actions": ["rotate"]}
_REGISTER = {"type": "alliance_member", "actions": ["register"]}
_NEW = public(new_key())


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    clock = MovableClock()
    async with founded(tmp_path, clock) as alliance:
        yield Shared(alliance, clock)


async def _state(shared: Shared) -> list[Any]:
    """Everything that an attack might have changed."""
    clients = [member.client for member in shared.alliance.members.values()]
    keys = [await active_keys(shared.gateway.database, client) for client in clients]
    names = [(one.kid, one.not_before, one.expires_at) for found in keys for one in found]
    return [names, await shared.gateway.approvals.pending(shared.alliance.id)]


def _refused(answer: httpx.Response, status: int, error: str) -> None:
    """The constant shape of a refusal (RFC 7591 section 3.2.2)."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.json().keys() == {"error", "error_description"}
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")


async def _put(member: Member, document: Any, url: str = "") -> httpx.Response:
    token = await member.token(_ROTATE)
    return await member.call("PUT", url or f"/v1/clients/{member.client}", token, json=document)


async def test_a_registration_credential_edits_no_other_client(shared: Shared) -> None:
    """CVE-2026-116672: the credential of one client was good for every client."""
    hotel, bank = shared.hotel, shared.bank
    second = Member("hotel, second", shared.alliance, id=hotel.id)
    second.client = await shared.alliance.register(second, "second")
    before, token = await _state(shared), await hotel.token(_ROTATE)
    answers = []
    for victim in (bank.client, second.client, "f" * 32, hotel.client.upper(), "%00", "a" * 5000):
        url = f"/v1/clients/{victim}"
        for named in (victim, hotel.client):
            attempt = {"client_id": named, "jwks": {"keys": [public(new_key())]}}
            answers.append(await hotel.call("PUT", url, token, json=attempt))
        answers += [await hotel.get(url, token), await hotel.call("DELETE", url, token)]
    for answer in answers:
        _refused(answer, 403, "access_denied")
    assert len({answer.content for answer in answers}) == 1, "whether it exists is not told"
    mixed = await hotel.call(
        "PUT", f"/v1/clients/{hotel.client}", token, json={"client_id": bank.client, "jwks": {"keys": [_NEW]}}
    )
    _refused(mixed, 400, "invalid_client_metadata")
    assert await _state(shared) == before
    for member in (hotel, bank, second):
        assert (await member.ask_token()).status_code == 200


_PATHS = ("/{bank}/", "/{hotel}/../{bank}", "/{hotel}%2F..%2F{bank}", "/{hotel};{bank}", "/")


async def test_no_way_of_writing_a_path_reaches_another_client(shared: Shared) -> None:
    before = await _state(shared)
    for path in _PATHS:
        url = "/v1/clients" + path.format(hotel=shared.hotel.client, bank=shared.bank.client)
        answer = await _put(shared.hotel, {"client_id": shared.bank.client, "jwks": {"keys": [_NEW]}}, url)
        assert answer.status_code in {401, 403, 404, 405}, answer.text
        assert await _state(shared) == before


async def test_a_key_that_is_or_was_anothers_is_refused(shared: Shared) -> None:
    hotel, bank, gateway = shared.hotel, shared.bank, shared.gateway
    retired = new_key()
    await shared.alliance.by_two("add_client_key", client=bank.client, jwk=public(retired))
    await gateway.clients.retire_key(bank.client, retired.thumbprint(), operator="test")
    ended = Member("ended", shared.alliance, id=bank.id)
    ended.client = await shared.alliance.register(ended, "ended")
    await gateway.clients.revoke(ended.client, operator="test")
    before = await _state(shared)
    for stolen in (bank.client_key, retired, ended.client_key, bank.signing_key, hotel.signing_key):
        wanted = {"client_id": hotel.client, "jwks": {"keys": [public(hotel.client_key), public(stolen)]}}
        _refused(await _put(hotel, wanted), 400, "invalid_client_metadata")
        named = {"client_name": "mine", "jwks": {"keys": [public(stolen)]}}
        _refused(await hotel.post("/v1/clients", await hotel.token(_REGISTER), named), 400, "invalid_client_metadata")
    assert await _state(shared) == before
    assert (await bank.ask_token()).status_code == 200


async def test_a_key_that_the_client_itself_had_retired_does_not_come_back(shared: Shared) -> None:
    hotel, old, new = shared.hotel, shared.hotel.client_key, new_key()
    assert (await _put(hotel, {"client_id": hotel.client, "jwks": {"keys": [public(new)]}})).status_code == 200
    hotel.client_key = new
    wanted = {"client_id": hotel.client, "jwks": {"keys": [public(new), public(old)]}}
    _refused(await _put(hotel, wanted), 400, "invalid_client_metadata")
    hotel.client_key = old
    assert (await hotel.ask_token()).status_code == 401


_CHANGES: list[dict[str, Any]] = [
    {"client_name": "another"},
    {"alliance_member": "f" * 32},
    {"alliance_environment": "test"},
    {"alliance_registration": "pending"},
    {"token_endpoint_auth_method": "none"},
    {"token_endpoint_auth_method": "client_secret_basic"},
    {"grant_types": ["client_credentials", "password"]},
    {"grant_types": ["authorization_code"]},
    {"response_types": ["code"]},
    {"client_id_issued_at": 1},
    {"registration_client_uri": "https://elsewhere.example"},
    {"client_id": "f" * 32},
    {"client_id": None},
    {"client_id": ["x"]},
]


async def test_a_client_changes_its_keys_and_nothing_else(shared: Shared) -> None:
    before, hotel = await _state(shared), shared.hotel
    for change in _CHANGES:
        wanted = {"client_id": hotel.client, "jwks": {"keys": [public(hotel.client_key), _NEW]}, **change}
        _refused(await _put(hotel, wanted), 400, "invalid_client_metadata")
        assert await _state(shared) == before, change


_BAD_KEYS: list[dict[str, Any]] = [
    {},
    {"jwks": None},
    {"jwks": []},
    {"jwks": {"keys": []}},
    {"jwks": {"keys": {}}},
    {"jwks": {"keys": ["key"]}},
    {"jwks": {"keys": [_NEW, _NEW]}},
    {"jwks": {"keys": [{**public(new_key())} for _ in range(17)]}},
    {"jwks": {"keys": [_NEW]}, "jwks_uri": "https://keys.example/"},
    {"jwks": {"keys": [dict(new_key().as_dict(private=True))]}},
    {"jwks": {"keys": [dict(OctKey.generate_key(256).as_dict())]}},
    {"jwks": {"keys": [dict(ECKey.generate_key("P-384").as_dict(private=False))]}},
    {"jwks": {"keys": [dict(OKPKey.generate_key("X25519").as_dict(private=False))]}},
    {"jwks": {"keys": [{"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 128)}]}},
    {"jwks": {"keys": [{**_NEW, "alg": "none"}]}},
    {"jwks": {"keys": [{**_NEW, "alg": "RS256"}]}},
    {"jwks": {"keys": [{**_NEW, "use": "enc"}]}},
    {"jwks": {"keys": [{**_NEW, "kid": ""}]}},
    {"jwks": {"keys": [{**_NEW, "kid": 7}]}},
    {"jwks": {"keys": [{**_NEW, "nbf": "soon"}]}},
    {"jwks": {"keys": [{**_NEW, "nbf": True}]}},
    {"jwks": {"keys": [{**_NEW, "exp": 1.5}]}},
    {"jwks": {"keys": [{**_NEW, "exp": -1}]}},
    {"jwks": {"keys": [{**_NEW, "exp": 2**53}]}},
    {"jwks": {"keys": [{**_NEW, "nbf": 5, "exp": 5}]}},
    {"jwks_uri": "http://keys.example/"},
    {"jwks_uri": "https://127.0.0.1/"},
    {"jwks_uri": "https://169.254.169.254/latest"},
    {"jwks_uri": ["https://keys.example/"]},
]


@pytest.mark.parametrize("how", ["PUT", "POST"])
async def test_bad_keys_are_refused(shared: Shared, how: str) -> None:
    before, hotel = await _state(shared), shared.hotel
    for keys in _BAD_KEYS:
        if how == "PUT":
            answer = await _put(hotel, {"client_id": hotel.client, **keys})
        else:
            answer = await hotel.post("/v1/clients", await hotel.token(_REGISTER), {"client_name": "x", **keys})
        _refused(answer, 400, "invalid_client_metadata")
        assert await _state(shared) == before, keys


_NO_DOCUMENTS = [
    b"",
    b"[]",
    b"null",
    b"{",
    b'{"client_id": "a", "client_id": "b"}',
    b"\xff",
    b'{"a": NaN}',
    b"[" * 50_000,
    b'{"a": "' + b"x" * 70_000 + b'"}',
    b'{"client_name": "\\ud800"}',
    b'{"\\u0000": 1}',
]


@pytest.mark.parametrize("how", ["PUT", "POST"])
async def test_what_is_no_document_is_refused_in_one_shape(shared: Shared, how: str) -> None:
    hotel = shared.hotel
    url, detail = (f"/v1/clients/{hotel.client}", _ROTATE) if how == "PUT" else ("/v1/clients", _REGISTER)
    headers = {"Content-Type": "application/json"}
    for body in _NO_DOCUMENTS:
        answer = await hotel.call(how, url, await hotel.token(detail), content=body, headers=headers)
        _refused(answer, 400, "invalid_client_metadata")


async def test_another_media_type_is_refused(shared: Shared) -> None:
    hotel = shared.hotel
    for kind in ("application/x-www-form-urlencoded", "text/json", ""):
        answer = await hotel.call(
            "POST", "/v1/clients", await hotel.token(_REGISTER), content=b"{}", headers={"Content-Type": kind}
        )
        _refused(answer, 400, "invalid_client_metadata")


async def test_a_bad_name_is_refused(shared: Shared) -> None:
    names: list[object] = ["", " ", "x" * 201, "a\nb", "a\0b", None, 7, ["x"]]
    for name in names:
        wanted = {"client_name": name, "jwks": {"keys": [_NEW]}}
        answer = await shared.hotel.post("/v1/clients", await shared.hotel.token(_REGISTER), wanted)
        _refused(answer, 400, "invalid_client_metadata")
        assert answer.json()["error_description"].endswith("(client_name)")


async def test_redirects_are_not_for_these_clients(shared: Shared) -> None:
    wanted = {"client_name": "x", "jwks": {"keys": [_NEW]}, "redirect_uris": ["https://client.example/cb"]}
    answer = await shared.hotel.post("/v1/clients", await shared.hotel.token(_REGISTER), wanted)
    _refused(answer, 400, "invalid_redirect_uri")


async def test_what_is_not_offered_is_not_proposed(shared: Shared) -> None:
    hotel, before = shared.hotel, await _state(shared)
    for asked in (
        {"token_endpoint_auth_method": "none"},
        {"grant_types": ["client_credentials", "password"]},
        {"response_types": ["code"]},
    ):
        wanted = {"client_name": "x", "jwks": {"keys": [_NEW]}, **asked}
        answer = await hotel.post("/v1/clients", await hotel.token(_REGISTER), wanted)
        _refused(answer, 400, "invalid_client_metadata")
        assert await _state(shared) == before, asked


async def test_a_document_has_at_most_64_kib(shared: Shared) -> None:
    hotel, headers = shared.hotel, {"Content-Type": "APPLICATION/JSON ; charset=utf-8"}
    wanted = json.dumps({"client_name": "x", "jwks": {"keys": [_NEW]}}).encode()
    for more, status in ((0, 202), (1, 400)):
        body = wanted.ljust(64 * 1024 + more)
        answer = await hotel.call("POST", "/v1/clients", await hotel.token(_REGISTER), content=body, headers=headers)
        assert answer.status_code == status, answer.text
    _refused(answer, 400, "invalid_client_metadata")
    assert "65536 bytes" in answer.json()["error_description"]


async def test_a_token_without_the_action_does_nothing(shared: Shared) -> None:
    hotel, before = shared.hotel, await _state(shared)
    deal = await shared.market()
    url = f"/v1/clients/{hotel.client}"
    others = ["draft", "sign", "upload", "consent", "withdraw", "audit", "register"]
    for detail in ({"type": "alliance_member", "actions": others}, hotel.under(deal.agreement, deal.dataset)):
        token = await hotel.token(detail)
        _refused(await hotel.get(url, token), 403, "insufficient_scope")
        _refused(await hotel.call("DELETE", url, token), 403, "insufficient_scope")
        _refused(await hotel.call("PUT", url, token, json={}), 403, "insufficient_scope")
    wanted = {"client_name": "x", "jwks": {"keys": [_NEW]}}
    _refused(await hotel.post("/v1/clients", await hotel.token(_ROTATE), wanted), 403, "insufficient_scope")
    assert await _state(shared) == before


async def test_a_bearer_token_opens_no_registration(shared: Shared) -> None:
    """RFC 7592 has a bearer token; a copied one would be enough to take a client over."""
    hotel = shared.hotel
    token = await hotel.token(_ROTATE)
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"DPoP {token}"}, {}):
        answer = await shared.alliance.http.get(f"/v1/clients/{hotel.client}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("DPoP ")


async def test_a_revoked_client_and_a_suspended_member_change_nothing(shared: Shared) -> None:
    hotel, stranger = shared.hotel, shared.stranger
    token, other = await hotel.token(_ROTATE), await stranger.token(_ROTATE)
    await shared.gateway.members.suspend(hotel.id, case="c1", operator="test")
    await shared.gateway.clients.revoke(stranger.client, operator="test")
    before = await _state(shared)
    wanted = {"client_id": hotel.client, "jwks": {"keys": [public(hotel.client_key), _NEW]}}
    _refused(await hotel.call("PUT", f"/v1/clients/{hotel.client}", token, json=wanted), 403, "insufficient_scope")
    wanted["client_id"] = stranger.client
    answer = await stranger.call("PUT", f"/v1/clients/{stranger.client}", other, json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert await _state(shared) == before


async def test_a_member_proposes_clients_for_itself_alone(shared: Shared) -> None:
    hotel = shared.hotel
    wanted = {
        "client_name": "x", "jwks": {"keys": [_NEW]}, "alliance_member": shared.bank.id, "member": shared.bank.id,
        "alliance_environment": "test", "client_id": shared.bank.client,
    }  # fmt: skip
    answer = await hotel.post("/v1/clients", await hotel.token(_REGISTER), wanted)
    assert answer.status_code == 202
    assert answer.json()["alliance_member"] == hotel.id
    (one,) = await shared.gateway.approvals.pending(shared.alliance.id)
    assert (one.arguments["member"], one.arguments["environment"]) == (hotel.id, "production")
    assert one.arguments["client"] not in {shared.bank.client, hotel.client}


@pytest.mark.parametrize("how", ["revoked", "ended", "key retired", "key dropped", "method changed"])
async def test_what_a_client_proposed_is_void_once_it_or_its_key_is_over(shared: Shared, how: str) -> None:
    """A thief of its key proposes a client of its own, and the theft is noticed before anybody approves."""
    hotel, gateway = shared.hotel, shared.gateway
    wanted = {"client_name": "systems, second", "jwks": {"keys": [_NEW]}}
    proposed = (await hotel.post("/v1/clients", await hotel.token(_REGISTER), wanted)).json()
    match how:
        case "revoked":
            await gateway.clients.revoke(hotel.client, operator="test")
        case "ended":
            await hotel.call("DELETE", f"/v1/clients/{hotel.client}", await hotel.token(_ROTATE))
        case "key retired":
            await gateway.clients.retire_key(hotel.client, hotel.client_key.thumbprint(), operator="test")
        case "key dropped":
            changed = await _put(hotel, {"client_id": hotel.client, "jwks": {"keys": [public(new_key())]}})
            assert changed.status_code == 200, changed.text
        case _:
            strict = Method(strict_typ=True).facts()
            await shared.alliance.by_two("change_client_method", client=hotel.client, method=strict)
    with pytest.raises(Conflicting, match="proposer_changed"):
        await gateway.approvals.approve(proposed["alliance_proposal"], operator="ann")
    with pytest.raises(NotFound):
        await gateway.clients.home_of(proposed["client_id"])
    await gateway.approvals.decline(proposed["alliance_proposal"], operator="ann")


async def test_what_a_client_proposed_stands_while_it_only_gains_keys(shared: Shared) -> None:
    hotel = shared.hotel
    wanted = {"client_name": "systems, second", "jwks": {"keys": [_NEW]}}
    proposed = (await hotel.post("/v1/clients", await hotel.token(_REGISTER), wanted)).json()
    more = {"client_id": hotel.client, "jwks": {"keys": [public(hotel.client_key), public(new_key())]}}
    assert (await _put(hotel, more)).status_code == 200
    made = await shared.gateway.approvals.approve(proposed["alliance_proposal"], operator="ann")
    assert made == proposed["client_id"]


async def test_a_client_floods_neither_keys_nor_proposals(shared: Shared) -> None:
    hotel, keep = shared.hotel, public(shared.hotel.client_key)
    for round_ in range(3):
        wanted = {"client_id": hotel.client, "jwks": {"keys": [keep, *(public(new_key()) for _ in range(15))]}}
        answer = await _put(hotel, wanted)
        assert answer.status_code == (200 if round_ < 2 else 400), answer.text
    _refused(answer, 400, "invalid_client_metadata")
    token = await hotel.token(_REGISTER)
    for number in range(65):
        named = {"client_name": f"c{number}", "jwks": {"keys": [public(new_key())]}}
        answer = await hotel.post("/v1/clients", token, named)
        assert answer.status_code == (202 if number < 64 else 400), answer.text
    for status in (200, 400):  # with its first key it has gained 31 today
        wanted = {"client_id": hotel.client, "jwks": {"keys": [keep, public(new_key())]}}
        assert (await _put(hotel, wanted)).status_code == status
    bank = shared.bank
    others = {"client_id": bank.client, "jwks": {"keys": [public(bank.client_key), public(new_key())]}}
    assert (await _put(bank, others)).status_code == 200, "another client has its own share"
    shared.clock.pass_seconds(24 * 3600)
    assert (await _put(hotel, {"client_id": hotel.client, "jwks": {"keys": [keep, _NEW]}})).status_code == 200

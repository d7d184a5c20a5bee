"""Signed reads from end to end: demanded by an agreement, answered with a signature, kept for an arbiter."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.access.tables import signed_message
from gateway.agreements import HoldSubject
from gateway.database import DatabaseUnavailable, Query
from gateway.errors import Invalid, NotFound
from gateway.identity import SignedMessage
from gateway.identity.security_log import by_code
from gateway.ledger import Draft, Kind, LedgerUnavailable
from gateway.ledger.entries import Recorded
from gateway.ledger.export import export
from gateway.ledger.stored import state
from gateway.ledger.verify import verify
from gateway.policy.tables import activate
from tests.access.world import ENGINES, Deal, Shared, reasons, records, shared_on
from tests.signing import PROFILE, check_answer, is_signed, send_signed, thumbprint_of

DEMANDED = {"profile": PROFILE, "actions": ["read"]}
REQUIRED = ("MESSAGE_SIGNATURE_REQUIRED", "4.1.2")
_ROWS = Query(select(signed_message.c.sha256, signed_message.c.sealed))


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


@pytest.fixture
async def deal(shared: Shared) -> Deal:
    """Places that the hotel may read with signed messages alone."""
    return await shared.market(signed_messages=DEMANDED)


async def deliveries(shared: Shared, log: str) -> list[dict[str, Any]]:
    return [entry for entry in await shared.entries(log) if entry["kind"] == "delivery"]


async def read(shared: Shared, deal: Deal, path: str = "", **how: Any) -> httpx.Response:
    return await send_signed(shared.hotel, "GET", deal.path + path, await shared.token(deal), **how)


async def test_where_signatures_are_demanded_a_read_without_one_is_refused_on_the_record(
    shared: Shared, deal: Deal
) -> None:
    answer = await shared.hotel.get(deal.path, await shared.token(deal))
    assert answer.status_code == 403
    assert reasons(answer.json()) == [REQUIRED]
    assert not is_signed(answer)
    entry = await shared.last_access()
    assert (entry["event_id"], entry["effect"], reasons(entry)) == (answer.json()["event_id"], "deny", [REQUIRED])
    assert "message" not in entry


async def test_a_signed_read_is_answered_with_data_and_a_signature(shared: Shared, deal: Deal) -> None:
    answer = await read(shared, deal, "?limit=2")
    assert len(records(answer)) == 2
    covered = await check_answer(shared.alliance, answer)
    assert covered['"@status"'] == "200"
    assert covered['"@target-uri";req'] == f"{shared.alliance.base}{deal.path}?limit=2"
    assert '"content-digest";req' not in covered


async def test_a_signed_query_binds_its_body_and_the_answer_binds_that(shared: Shared, deal: Deal) -> None:
    body = json.dumps({"filters": {"code": "PEK"}}).encode()
    answer = await send_signed(shared.hotel, "POST", f"{deal.path}/query", await shared.token(deal), body)
    assert [fields["code"] for fields in records(answer).values()] == ["PEK"]
    covered = await check_answer(shared.alliance, answer)
    assert covered['"content-digest";req'] == answer.request.headers["content-digest"]
    assert (
        await shared.hotel.post(f"{deal.path}/query", await shared.token(deal), json.loads(body))
    ).status_code == 403


async def test_a_signature_may_be_demanded_for_filtered_reads_alone(shared: Shared) -> None:
    deal = await shared.market(signed_messages={"profile": PROFILE, "actions": ["query"]})
    token = await shared.token(deal)
    assert (await shared.hotel.get(deal.path, token)).status_code == 200
    assert (await shared.hotel.post(f"{deal.path}/query", token, {"filters": {}})).status_code == 200
    filtered = await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"code": "PEK"}})
    assert reasons(filtered.json()) == [REQUIRED]


async def test_who_signs_unasked_is_answered_with_a_signature_too(shared: Shared) -> None:
    deal = await shared.market()
    await check_answer(shared.alliance, await read(shared, deal))
    assert not is_signed(await shared.hotel.get(deal.path, await shared.token(deal)))
    refused = await read(shared, deal, tag="another")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_signature")
    assert by_code(shared.gateway.identity.log.attempts) == {"SIGNATURE_TAG": 1}


async def test_both_messages_are_on_record_and_verify_by_their_public_keys_alone(shared: Shared, deal: Deal) -> None:
    answer = await read(shared, deal)
    access, [delivery] = await shared.last_access(), await deliveries(shared, shared.bank.id)
    assert answer.json()["event_id"] == access["event_id"] == delivery["access"]
    assert access["message"]["key"] == thumbprint_of(shared.hotel)
    assert access["message"]["profile"] == delivery["message"]["profile"] == PROFILE
    assert delivery["request_sha256"] == access["message"]["base_sha256"]
    assert delivery["status"] == 200
    assert delivery["content_sha256"] == sha256(answer.content).hexdigest()
    sent = answer.headers["signature"].removeprefix("gateway=:").removesuffix(":")
    assert delivery["message"]["signature"] == sent
    for stated in (access["message"], delivery["message"]):
        member, document = await shared.gateway.messages.read(stated["base_sha256"])
        assert member == shared.hotel.id
        message = SignedMessage.read(document)
        assert message.describe() == {name: stated[name] for name in message.describe()}
        assert sha256(message.base).hexdigest() == stated["base_sha256"]
        for name, value in json.loads(document).items():
            if name in ("base", "signature"):
                forged = bytearray(b64decode(value))
                forged[-1] ^= 1
                altered = json.loads(document) | {name: b64encode(forged).decode()}
                with pytest.raises(Invalid):
                    SignedMessage.read(json.dumps(altered, separators=(",", ":"), sort_keys=True).encode())
    with pytest.raises(NotFound):
        await shared.gateway.messages.read("0" * 64)


async def test_kept_messages_tell_the_database_nothing(shared: Shared, deal: Deal) -> None:
    token = await shared.token(deal)
    body = json.dumps({"filters": {"code": "PEK"}}).encode()
    answer = await send_signed(shared.hotel, "POST", f"{deal.path}/query", token, body)
    rows = await shared.gateway.database.all(_ROWS)
    assert len(rows) == 2
    for row in rows:
        for secret in (token, answer.request.headers["content-digest"], deal.dataset, "@target-uri"):
            assert secret not in row["sealed"]


async def test_a_delivery_follows_the_access_that_it_delivers(shared: Shared, deal: Deal) -> None:
    await read(shared, deal)
    kinds = [entry["kind"] for entry in await shared.entries(shared.bank.id)]
    assert kinds[-2:] == ["access", "delivery"]


async def policy_elsewhere(shared: Shared) -> None:
    """Another policy in force than this process has loaded."""
    async with shared.gateway.database.transaction() as tx:
        await activate(tx, shared.alliance.id, "0" * 64, shared.clock())


async def held(shared: Shared, deal: Deal) -> None:
    place = shared.gateway.holds.place
    await place(shared.alliance.id, HoldSubject.DATASET, deal.dataset, case="case-1", operator="test")


@pytest.mark.parametrize(
    ("status", "path", "at_owner"),
    [(400, "?limit=0", False), (403, "?fields=margin", True), (404, f"/{'0' * 32}", False)],
)
async def test_a_refusal_of_a_signed_read_is_signed_and_on_record(
    shared: Shared, deal: Deal, status: int, path: str, at_owner: bool
) -> None:
    await self_checked(shared, await read(shared, deal, path), status, at_owner=at_owner)


@pytest.mark.parametrize(
    ("status", "asked", "at_owner"),
    [(400, {"format": "pdf"}, False), (403, {"format": "csv"}, True)],
)
async def test_a_refusal_of_a_signed_file_is_signed_and_on_record(
    shared: Shared, deal: Deal, status: int, asked: dict[str, str], at_owner: bool
) -> None:
    """Else whoever sits between could refuse in the gateway's name; of a file that is given the manifest is signed."""
    path = deal.path.replace("/records", "/files")
    answer = await send_signed(shared.hotel, "POST", path, await shared.token(deal), json.dumps(asked).encode())
    await self_checked(shared, answer, status, at_owner=at_owner)


async def test_strangers_get_signed_answers_that_tell_as_little(shared: Shared, deal: Deal) -> None:
    other = await shared.market()
    token = await shared.token(other)
    answers = [
        await send_signed(shared.hotel, "GET", Deal(name, deal.dataset).path + "?purpose=market_analysis", token)
        for name in ("0" * 32, "x")
    ]
    for answer in answers:
        await self_checked(shared, answer, 404, at_owner=False)
    assert answers[0].content == answers[1].content
    denied = await shared.last_access(shared.alliance.id)
    assert denied["message"]["key"] == thumbprint_of(shared.hotel)


async def test_a_hold_is_answered_with_a_signature(shared: Shared, deal: Deal) -> None:
    await held(shared, deal)
    await self_checked(shared, await read(shared, deal), 423, at_owner=True)


async def test_no_usable_decision_is_answered_with_a_signature(shared: Shared, deal: Deal) -> None:
    token = await shared.token(deal)
    await policy_elsewhere(shared)
    answer = await send_signed(shared.hotel, "GET", deal.path, token)
    assert answer.headers["retry-after"] == "1"
    await self_checked(shared, answer, 503, at_owner=False)


async def self_checked(shared: Shared, answer: httpx.Response, status: int, *, at_owner: bool) -> None:
    """The answer has this status and a signature, and its delivery is on record in the log where it belongs."""
    assert answer.status_code == status, answer.text
    covered = await check_answer(shared.alliance, answer)
    assert covered['"@status"'] == str(status)
    delivery = (await deliveries(shared, shared.bank.id if at_owner else shared.alliance.id))[-1]
    assert (delivery["status"], delivery["content_sha256"]) == (status, sha256(answer.content).hexdigest())
    assert delivery.get("access") == answer.json().get("event_id")
    await shared.gateway.messages.read(delivery["request_sha256"])


async def test_without_its_entry_nothing_is_delivered(
    shared: Shared, deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = shared.gateway.ledger.record

    async def but_no_delivery(draft: Draft) -> Recorded:
        if draft.kind is Kind.DELIVERY:
            raise LedgerUnavailable
        return await record(draft)

    monkeypatch.setattr(shared.gateway.ledger, "record", but_no_delivery)
    answer = await read(shared, deal)
    assert answer.status_code == 503
    assert "records" not in answer.json()
    assert answer.headers["retry-after"] == "1"
    await check_answer(shared.alliance, answer)
    assert (await shared.last_access())["effect"] == "permit"
    assert await deliveries(shared, shared.bank.id) == []


async def test_a_request_that_cannot_be_kept_is_not_answered(
    shared: Shared, deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await shared.token(deal)
    before = len(await shared.accesses())

    async def away(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(shared.gateway.messages, "keep", away)
    answer = await send_signed(shared.hotel, "GET", deal.path, token)
    assert answer.status_code == 503
    assert len(await shared.accesses()) == before


async def test_a_changed_client_is_refused_by_the_seam_whatever_it_signs(shared: Shared, deal: Deal) -> None:
    token = await shared.token(deal)
    await shared.gateway.clients.revoke(shared.hotel.client, operator="test")
    answer = await send_signed(shared.hotel, "GET", deal.path, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert not is_signed(answer)
    assert ("CLIENT_REVOKED", "2.2.3") in reasons(await shared.last_access())


async def test_a_client_that_lost_the_key_it_signs_by_is_refused_by_the_seam_on_record(
    shared: Shared, deal: Deal
) -> None:
    token, key = await shared.token(deal), shared.hotel.client_key
    await shared.gateway.clients.retire_key(shared.hotel.client, key.thumbprint(), operator="test")
    before = len(await shared.accesses())
    answer = await send_signed(shared.hotel, "GET", deal.path, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert not is_signed(answer)
    assert len(await shared.accesses()) == before + 1
    assert ("CLIENT_REVOKED", "2.2.3") in reasons(await shared.last_access())


async def test_an_exported_log_with_deliveries_verifies(shared: Shared, deal: Deal, tmp_path: Path) -> None:
    await read(shared, deal)
    gateway, log = shared.gateway, shared.bank.id
    await gateway.integrator.integrate(log)
    async with gateway.database.reading() as snapshot:
        last = (await state(snapshot, log)).signed_size - 1
        await export(snapshot, log, 0, last, tmp_path / "log.zip")
    [vkey] = [one["vkey"] for one in await gateway.verifier_keys() if one["log"] == log]
    report = verify(tmp_path / "log.zip", vkey)
    assert report.exit_code == 0, report.findings


async def test_the_profile_stands_in_the_metadata(shared: Shared) -> None:
    found = (await shared.alliance.http.get("/.well-known/oauth-protected-resource/v1")).json()
    assert found["http_message_signature_profiles_supported"] == [PROFILE]
    assert found["resource_signing_alg_values_supported"] == ["Ed25519"]
    keys = (await shared.alliance.http.get("/v1/jwks")).json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) == 2

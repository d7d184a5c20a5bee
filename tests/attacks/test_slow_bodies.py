"""Attacks by a body that dawdles: its caller holds with the headers, and is over when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.identity.client_keys import active_keys
from gateway.limits import BODY_BYTES
from gateway.web import web
from tests.access.world import PLACES, MovableClock, Shared, records
from tests.alliance import MARKET_SCHEMA, Member, founded, new_key, public
from tests.listening import listening
from tests.services import free_port

_ROTATE = {"type": "alliance_member", "actions": ["rotate"]}
_REGISTER = {"type": "alliance_member", "actions": ["register"]}
Meanwhile = Callable[[], Awaitable[None]]


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    clock = MovableClock()
    async with founded(tmp_path, clock) as alliance:
        yield Shared(alliance, clock)


async def _slowly(content: bytes, meanwhile: Meanwhile) -> AsyncIterator[bytes]:
    """The content in two pieces, with something happening between them."""
    yield content[:1]
    await meanwhile()
    yield content[1:]


async def _dawdle(
    member: Member, method: str, path: str, token: str, content: bytes, meanwhile: Meanwhile, **headers: str
) -> httpx.Response:
    """A call whose headers arrive before `meanwhile`, and the end of whose body after it."""
    await member.get(f"/v1/clients/{member.client}", token)  # the nonce, so that the call is not made twice
    sent = {"Content-Type": "application/json", **headers}
    return await member.call(method, path, token, headers=sent, content=_slowly(content, meanwhile))


def _over(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), answer.text


def _ended(shared: Shared, member: Member, token: str, how: str) -> Meanwhile:
    """What ends the token: its own revocation, its key's, its client's, or its time."""
    clients = shared.gateway.clients

    async def end() -> None:
        if how == "token":
            await member.revoke(token)
        elif how == "key":
            await clients.retire_key(member.client, member.client_key.thumbprint(), operator="test")
        elif how == "client":
            await clients.revoke(member.client, operator="test")
        else:
            shared.clock.pass_seconds(301)

    return end


_ENDS = ("token", "key", "client", "time")


@pytest.mark.parametrize("how", _ENDS)
async def test_a_key_that_is_retired_meanwhile_leaves_no_other_behind(shared: Shared, how: str) -> None:
    """Else a thief of one key opens a rotation, waits until the theft is noticed, and finishes it after that."""
    hotel = shared.hotel
    token = await hotel.token(_ROTATE)
    before = {one.key.thumbprint for one in await active_keys(shared.gateway.database, hotel.client)}
    wanted = json.dumps({"client_id": hotel.client, "jwks": {"keys": [public(new_key())]}}).encode()
    url = f"/v1/clients/{hotel.client}"
    _over(await _dawdle(hotel, "PUT", url, token, wanted, _ended(shared, hotel, token, how)))
    after = {one.key.thumbprint for one in await active_keys(shared.gateway.database, hotel.client)}
    assert after == (before - {hotel.client_key.thumbprint()} if how == "key" else before)


@pytest.mark.parametrize("how", _ENDS)
async def test_a_client_that_is_over_meanwhile_proposes_nothing(shared: Shared, how: str) -> None:
    hotel = shared.hotel
    token = await hotel.token(_REGISTER, _ROTATE)
    wanted = json.dumps({"client_name": "another", "jwks": {"keys": [public(new_key())]}}).encode()
    _over(await _dawdle(hotel, "POST", "/v1/clients", token, wanted, _ended(shared, hotel, token, how)))
    assert await shared.gateway.approvals.pending(shared.alliance.id) == []


@pytest.mark.parametrize("how", [*_ENDS, "purged"])
async def test_a_read_whose_body_ends_after_its_token_opens_nothing(shared: Shared, how: str) -> None:
    """`purged`: a revoked token's row is kept no longer than the token would have lived."""
    deal, hotel = await shared.market(), shared.hotel
    token = await shared.token(deal)
    assert len(records(await hotel.get(deal.path, token))) == len(PLACES)

    async def meanwhile() -> None:
        await _ended(shared, hotel, token, "token" if how == "purged" else how)()
        if how == "purged":
            shared.clock.pass_seconds(3600)
            await shared.gateway.identity.forget_expired()

    query = json.dumps({"purpose": "market_analysis", "filters": {"code": "PEK"}}).encode()
    accesses = len(await shared.accesses())
    sent = {"Content-Type": "application/json"}
    answer = await hotel.call("POST", f"{deal.path}/query", token, headers=sent, content=_slowly(query, meanwhile))
    _over(answer)
    assert all(one["effect"] != "permit" for one in (await shared.accesses())[accesses:])


@pytest.mark.parametrize("how", ["token", "key", "client"])
async def test_an_upload_whose_client_is_over_before_its_end_is_not_published(shared: Shared, how: str) -> None:
    bank = shared.bank
    dataset = await bank.declare(MARKET_SCHEMA)
    token = await bank.token({"type": "alliance_member", "actions": ["upload"]}, _ROTATE)
    rows = "".join(json.dumps(row) + "\n" for row in PLACES).encode()
    path = f"/v1/datasets/{dataset}/uploads"
    end = _ended(shared, bank, token, how)
    _over(await _dawdle(bank, "POST", path, token, rows, end, **{"Content-Type": "application/x-ndjson"}))
    assert [entry for entry in await shared.entries(bank.id) if entry.get("act") == "upload_published"] == []


async def test_an_upload_outlasts_its_token(shared: Shared) -> None:
    """Gigabytes take more than five minutes: at the end it counts that nothing ended the token before its time."""
    bank = shared.bank
    dataset = await bank.declare(MARKET_SCHEMA)
    token = await bank.token({"type": "alliance_member", "actions": ["upload"]}, _ROTATE)
    rows = "".join(json.dumps(row) + "\n" for row in PLACES).encode()
    end: Any = _ended(shared, bank, token, "time")
    path = f"/v1/datasets/{dataset}/uploads"
    answer = await _dawdle(bank, "POST", path, token, rows, end, **{"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("announced", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/v1/datasets", (408, "body_too_slow")),
        ("GET", "/v1/members", (408, "body_too_slow")),
        ("POST", "/token", (400, "invalid_request")),
    ],
)
async def test_a_byte_now_and_then_holds_no_connection(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, announced: str, method: str, path: str, told: tuple[int, str]
) -> None:
    """Neither while it is waited for, nor by what goes on dripping after the answer."""
    monkeypatch.setattr("gateway.limits.SLOWEST", BODY_BYTES)
    port, bank = free_port(), shared.bank
    await bank.get(f"/v1/clients/{bank.client}", await bank.token())  # the nonce
    token = await bank.token()
    proof = bank.proof(method, shared.alliance.base + path, token)
    async with listening(web(shared.gateway), port), asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"{method} {path} HTTP/1.1", "Host: x", announced, f"Authorization: DPoP {token}", f"DPoP: {proof}"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

        async def drip() -> None:
            while True:
                writer.write(b"{" if "Length" in announced else b"1\r\n{\r\n")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        try:
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            dripping.cancel()
            writer.close()
    answer = json.loads(body)
    assert (int(head.split()[1]), answer.get("code") or answer["error"]) == told
    assert b"connection: close" in head.lower()


@pytest.mark.parametrize(("last", "status"), [("consents", 408), ("offline-consents", 400), ("uploads", 201)])
async def test_what_is_large_has_longer(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, last: str, status: int
) -> None:
    """An upload has no end: it may only not fall silent."""
    monkeypatch.setattr("gateway.limits.SLOWEST", BODY_BYTES * 5)  # 0.2 s, and 3.2 s for an archive
    bank = shared.bank
    dataset = await bank.declare(MARKET_SCHEMA)
    token = await bank.token({"type": "alliance_member", "actions": ["upload", "consent"]}, _ROTATE)
    rows = "".join(json.dumps(row) + "\n" for row in PLACES).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"/v1/datasets/{dataset}/{last}"
    answer = await _dawdle(bank, "POST", path, token, rows, lambda: asyncio.sleep(0.5), **headers)
    assert answer.status_code == status, answer.text

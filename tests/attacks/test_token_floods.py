"""Floods of the token endpoint over HTTP, while others go about their business."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network

import httpx
import pytest
from joserfc.jwk import OKPKey

from gateway.database import Database
from gateway.identity import Identity, Rate, Rates, TrustedProxy
from gateway.identity.security_log import by_code
from tests.identity.test_independent_clients import application
from tests.identity.world import (
    JWT_BEARER,
    MEMBER_DETAILS,
    PROXY_SECRET,
    World,
    build_identity,
    build_second_client,
    build_world,
)
from tests.listening import listening
from tests.services import free_port

HOME, AWAY = "198.51.100.1", "203.0.113.9"
RATES = Rates(client=Rate(1, 20), stranger=Rate(1, 20))


@dataclass
class Door:
    """A token endpoint behind a trusted proxy that names the address of each request."""

    world: World
    identity: Identity
    http: httpx.AsyncClient
    origin: str

    async def ask(self, world: World, address: str, *, key: OKPKey | None = None) -> httpx.Response:
        """One request of `world`'s client from an address, by its own key or another's."""
        form = {
            "grant_type": "client_credentials",
            "authorization_details": json.dumps(MEMBER_DETAILS),
            "client_assertion_type": JWT_BEARER,
            "client_assertion": world.assertion(key=key, aud=self.origin, jti=secrets.token_urlsafe(16)),
        }
        url = f"{self.origin}/token"
        headers = {
            "DPoP": world.proof("POST", url, nonce=self.identity.token_endpoint.next_nonce()),
            "Gateway-Proxy": PROXY_SECRET.decode(),
            "X-Forwarded-For": address,
        }
        return await self.http.post(url, data=form, headers=headers)


@pytest.fixture
async def door(sqlite_database: Database) -> AsyncIterator[Door]:
    world = await build_world(sqlite_database)
    world.clock.ms = time.time_ns() // 1_000_000
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    identity = build_identity(
        world.database, world.clock, world.token_key, world.terms, world.members, world.record,
        issuer=origin, resource=f"{origin}/v1", rates=RATES,
        proxy=TrustedProxy([ip_network("127.0.0.1")], PROXY_SECRET),
    )  # fmt: skip
    limits = httpx.Limits(max_connections=20)
    async with listening(application(identity), port), httpx.AsyncClient(timeout=20, limits=limits) as http:
        yield Door(world, identity, http, origin)


async def test_a_strangers_flood_in_a_clients_name_leaves_the_client_its_tokens(door: Door) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    flood = [door.ask(door.world, AWAY, key=stranger) for _ in range(150)]
    business = [door.ask(door.world, HOME) for _ in range(10)]
    answers = await asyncio.gather(*flood, *business)
    assert Counter(answer.status_code for answer in answers[:150]) == {401: 20, 429: 130}
    assert {answer.status_code for answer in answers[150:]} == {200}


async def test_a_clients_flood_leaves_the_next_client_its_tokens(door: Door) -> None:
    other = await build_second_client(door.world)
    flood = [door.ask(door.world, HOME) for _ in range(100)]
    business = [door.ask(other, HOME) for _ in range(10)]
    answers = await asyncio.gather(*flood, *business)
    counted = Counter(answer.status_code for answer in answers[:100])
    assert counted[200] == 20
    assert counted[429] == 80
    assert {answer.status_code for answer in answers[100:]} == {200}
    assert door.world.record.refused == [(door.world.client, "FLOOD_OF_CLIENT")]


async def test_a_429_is_an_oauth_error_that_says_when_to_come_back(door: Door) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    for _ in range(21):
        answer = await door.ask(door.world, AWAY, key=stranger)
    assert answer.status_code == 429
    assert answer.json() == {
        "error": "temporarily_unavailable",
        "error_description": "Too many requests; wait as long as Retry-After says.",
    }
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    assert by_code(door.identity.log.attempts) == {"ASSERTION_SIGNATURE": 20, "FLOOD_OF_STRANGERS": 1}


async def test_an_address_that_somebody_else_claims_to_come_from_is_not_believed(door: Door) -> None:
    """Without the proxy's secret all requests of a peer are that peer's, whatever they claim."""
    door.http.headers["X-Forwarded-For"] = HOME
    stranger = OKPKey.generate_key("Ed25519")
    body = {"client_assertion_type": JWT_BEARER, "client_assertion": ""}
    codes = Counter[int]()
    for number in range(40):
        body["client_assertion"] = door.world.assertion(key=stranger, iss=f"nobody-{number}", aud=door.origin)
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        codes[(await door.http.post(f"{door.origin}/token", data=body, headers=headers)).status_code] += 1
    assert codes == {401: 20, 429: 20}
    assert (await door.ask(door.world, HOME)).status_code == 200

"""Clients that publish their keys by address: a real site over TLS, the token endpoint, and a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import NotAuthenticated
from gateway.identity import KnownClient, SecurityLog, SignedRequest, Subject
from gateway.identity.client_keys import active_keys
from gateway.identity.clients import find_client
from gateway.identity.key_address import KeysUnfetched
from gateway.identity.key_set_client import KeySetClient
from gateway.identity.methods import Binding, Method, MethodName
from gateway.identity.security_log import by_code
from gateway.members.client_acts import registration
from gateway.members.clients import MOST_NEW_KEYS_A_DAY
from gateway.members.key_source import KeySource
from gateway.members.published_keys import PublishedKeys
from tests.access.world import MovableClock, Shared
from tests.alliance import Member, b64, founded, new_key, public
from tests.identity.key_site import KeySite, new_site
from tests.signing import Message, Signature

_MINUTE, _FIVE_MINUTES, _HOUR = 60, 300, 3600


@dataclass
class Publishing:
    """A second client of the hotel that publishes at `site`, beside the first, which does not."""

    shared: Shared
    site: KeySite
    member: Member

    def pass_seconds(self, count: int) -> None:
        self.shared.clock.pass_seconds(count)

    async def status(self) -> int:
        """What the token endpoint answers the client now."""
        return (await self.member.ask_token()).status_code

    async def begun_look(self) -> asyncio.Task[int]:
        """A request for a token that looks at the site now; it ends with its status."""
        looks, request = self.looks, asyncio.create_task(self.status())
        while self.looks == looks:
            await asyncio.sleep(0.01)
        return request

    async def known(self) -> KnownClient:
        found = await find_client(self.shared.gateway.database, self.member.client, self.shared.clock())
        assert found is not None
        return found

    async def published(self) -> list[dict[str, Any]]:
        """The entries about what was published."""
        entries = await self.shared.entries(self.shared.alliance.id)
        return [entry for entry in entries if entry.get("act") == "client_keys_published"]

    @property
    def looks(self) -> int:
        return len(self.site.requests)


@asynccontextmanager
async def publishing(folder: Path, **over: Any) -> AsyncIterator[Publishing]:
    clock = MovableClock()
    (folder / "site").mkdir()
    async with new_site(folder / "site").open() as site, founded(folder, clock, jwks_loopback=True, **over) as alliance:
        shared = Shared(alliance, clock)
        member = Member("hotel, published", alliance, id=shared.hotel.id)
        wanted = registration(member.id, "production", "published", KeySource(jwks_uri=site.uri))
        member.client = await alliance.by_two("register_client", **wanted)
        site.publish(public(member.client_key))
        yield Publishing(shared, site, member)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publishing]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "site" / "certificate.pem"))
    async with publishing(tmp_path) as built:
        yield built


async def test_a_published_key_authenticates_and_stands_on_record(world: Publishing) -> None:
    token = await world.member.token()
    assert (await world.member.get("/v1/agreements", token)).status_code == 200
    (entry,) = await world.published()
    assert entry["added"] == [world.member.client_key.thumbprint()]
    assert (entry["client"], entry["jwks_uri"]) == (world.member.client, world.site.uri)
    for _ in range(10):
        assert await world.status() == 200
    assert world.looks == 1, "within five minutes nobody looks again"
    assert len(await world.published()) == 1


async def test_keys_change_over_without_a_failing_request(world: Publishing) -> None:
    old, new = world.member.client_key, new_key()
    token = await world.member.token()

    async def served() -> None:
        assert await world.status() == 200
        assert (await world.member.get("/v1/agreements", token)).status_code == 200

    world.site.publish(public(old), public(new))
    world.pass_seconds(_MINUTE)
    await served()
    world.member.client_key = new
    await served()
    token = await world.member.token()
    world.site.publish(public(new))
    for _ in range(6):
        world.pass_seconds(_MINUTE)
        await served()
        token = await world.member.token()
    world.member.client_key = old
    assert await world.status() == 401
    assert [{"added", "gone"} & entry.keys() for entry in await world.published()] == [{"added"}, {"added"}, {"gone"}]


async def test_a_key_that_disappears_stops_at_the_next_look_and_may_come_back(world: Publishing) -> None:
    assert await world.status() == 200
    world.site.publish()
    assert await world.status() == 200, "nobody has looked yet"
    world.pass_seconds(_FIVE_MINUTES)
    assert await world.status() == 401
    world.site.publish(public(world.member.client_key))
    assert await world.status() == 401, "the minute has not passed"
    world.pass_seconds(_MINUTE)
    assert await world.status() == 200


async def test_unknown_keys_cause_one_look_a_minute_however_many_there_are(world: Publishing) -> None:
    assert await world.status() == 200
    world.member.client_key = new_key()
    for _ in range(20):
        assert await world.status() == 401
    world.pass_seconds(_MINUTE - 1)
    assert await world.status() == 401
    assert world.looks == 1
    world.pass_seconds(1)
    assert {await world.status() for _ in range(20)} == {401}
    assert world.looks == 2


async def test_requests_that_arrive_together_wait_for_one_look(world: Publishing) -> None:
    assert await world.status() == 200
    world.member.client_key = new_key()
    world.site.publish(public(world.member.client_key))
    world.site.delay = 0.3
    world.pass_seconds(_MINUTE)
    assert await asyncio.gather(*(world.status() for _ in range(8))) == [200] * 8
    assert world.looks == 2


async def test_while_one_request_looks_the_others_use_what_is_known(world: Publishing) -> None:
    assert await world.status() == 200
    world.pass_seconds(_FIVE_MINUTES)
    world.site.delay = 2
    looking = await world.begun_look()
    assert await asyncio.wait_for(world.status(), 1.5) == 200
    assert not looking.done()
    assert await looking == 200


async def test_while_one_request_looks_those_whose_keys_are_too_old_wait_for_it(world: Publishing) -> None:
    assert await world.status() == 200
    world.pass_seconds(_HOUR)
    world.site.delay = 0.5
    looking = await world.begun_look()
    found = await world.shared.gateway.identity._published.fresh(await world.known())
    assert [key.thumbprint for _, key in found.keys] == [world.member.client_key.thumbprint()]
    assert await looking == 200
    assert world.looks == 2


async def test_a_site_that_is_away_is_asked_once_a_minute_and_its_keys_last_an_hour(world: Publishing) -> None:
    assert await world.status() == 200
    world.site.status = "503 Away"
    world.pass_seconds(_FIVE_MINUTES)
    for _ in range(5):
        assert await world.status() == 200
    assert world.looks == 2
    world.pass_seconds(_HOUR - _FIVE_MINUTES - 1)
    assert await world.status() == 200
    world.pass_seconds(1)
    for _ in range(5):
        assert await world.status() == 401
    assert world.looks == 3
    world.site.status = "200 OK"
    world.pass_seconds(_MINUTE)
    assert await world.status() == 200


async def test_what_is_no_key_set_does_not_take_keys_away(world: Publishing) -> None:
    assert await world.status() == 200
    world.site.body = b'{"error": "maintenance"}'
    world.pass_seconds(_FIVE_MINUTES)
    assert await world.status() == 200
    assert by_code(world.shared.gateway.identity.log.attempts)["KEYS_CONTENT"] == 1


async def test_keys_that_break_a_rule_are_left_out_and_the_others_count(world: Publishing) -> None:
    bank = world.shared.bank
    private = new_key()
    world.site.publish(
        public(bank.client_key),
        public(bank.signing_key),
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 128)},
        dict(private.as_dict(private=True)),
        {**public(new_key()), "use": "enc"},
        {**public(new_key()), "alg": "RS256"},
        {**public(new_key()), "nbf": "soon"},
        public(world.member.client_key),
        public(world.member.client_key),
    )
    assert await world.status() == 200
    known = {key.thumbprint for _, key in (await world.known()).keys}
    assert known == {world.member.client_key.thumbprint()}
    for stolen in (bank.client_key, bank.signing_key, private):
        world.member.client_key = stolen
        assert await world.status() == 401
    assert (await bank.ask_token()).status_code == 200


async def test_a_key_that_was_retired_does_not_come_back_by_being_published(world: Publishing) -> None:
    assert await world.status() == 200
    key = world.member.client_key.thumbprint()
    await world.shared.gateway.clients.retire_key(world.member.client, key, operator="test")
    for _ in range(7):
        world.pass_seconds(_MINUTE)
        assert await world.status() == 401


async def test_a_published_key_has_its_life(world: Publishing) -> None:
    now = world.member.now
    world.site.publish({**public(world.member.client_key), "nbf": now + 30, "exp": now + 90})
    assert await world.status() == 401
    for passed, status in ((29, 401), (1, 200), (59, 200), (1, 401)):
        world.pass_seconds(passed)
        assert await world.status() == status


async def test_a_client_gains_no_more_than_its_share_of_keys_in_a_day(world: Publishing) -> None:
    for _ in range(5):
        world.site.publish(*(public(new_key()) for _ in range(16)))
        world.pass_seconds(_FIVE_MINUTES)
        assert await world.status() == 401
    kept = await active_keys(world.shared.gateway.database, world.member.client)
    assert len(kept) == MOST_NEW_KEYS_A_DAY
    world.site.publish(*(public(new_key()) for _ in range(17)))
    world.pass_seconds(_FIVE_MINUTES)
    assert await world.status() == 401
    assert by_code(world.shared.gateway.identity.log.attempts)["KEYS_TOO_MANY"] == 1
    world.pass_seconds(24 * _HOUR)
    world.site.publish(public(world.member.client_key))
    assert await world.status() == 200


async def test_a_client_moves_its_keys_to_an_address_without_a_gap(world: Publishing) -> None:
    hotel, site = world.shared.hotel, world.site
    url, site.status = f"/v1/clients/{hotel.client}", "503 Not yet"
    token = await hotel.token({"type": "alliance_member", "actions": ["rotate"]})
    answer = await hotel.call("PUT", url, token, json={"client_id": hotel.client, "jwks_uri": site.uri})
    assert (answer.status_code, answer.json()["jwks_uri"], "jwks" in answer.json()) == (200, site.uri, False)
    assert (await hotel.get(url, token)).status_code == 200, "nothing ended"
    assert (await hotel.ask_token()).status_code == 200, "what it had serves while nothing can be found"
    assert world.looks == 1, "the look was due at once"
    hotel.client_key, old = new_key(), hotel.client_key
    site.status = "200 OK"
    site.publish(public(hotel.client_key))
    world.pass_seconds(_MINUTE)
    assert (await hotel.ask_token()).status_code == 200
    hotel.client_key = old
    assert (await hotel.ask_token()).status_code == 401


async def test_a_client_that_moves_to_another_address_is_looked_for_there_at_once(world: Publishing) -> None:
    """Else its new keys would be unknown for the rest of the minute of the old address."""
    member = world.member
    token = await member.token({"type": "alliance_member", "actions": ["rotate"]})
    moved = {"client_id": member.client, "jwks_uri": f"{world.site.uri}?v=2"}
    assert (await member.call("PUT", f"/v1/clients/{member.client}", token, json=moved)).status_code == 200
    member.client_key = new_key()
    world.site.publish(public(member.client_key))
    assert await world.status() == 200
    assert world.site.requests[-1].startswith("GET /keys?v=2 ")


async def test_nobody_looks_for_the_keys_of_a_client_that_ended(world: Publishing) -> None:
    assert await world.status() == 200
    await world.shared.gateway.clients.revoke(world.member.client, operator="test")
    world.pass_seconds(_HOUR)
    assert await world.status() == 401
    assert world.looks == 1


async def test_processes_share_the_minute_between_two_looks(world: Publishing) -> None:
    gateway = world.shared.gateway
    look = KeySetClient(loopback=True).look
    processes = [PublishedKeys(gateway.database, gateway.ledger, gateway.clock, look, SecurityLog()) for _ in range(4)]
    known = await world.known()
    await asyncio.gather(*(process.renewed(known) for process in processes for _ in range(5)))
    assert world.looks == 1


async def test_keys_of_an_address_that_was_left_meanwhile_are_not_taken(world: Publishing) -> None:
    gateway, hotel = world.shared.gateway, world.member

    async def moving(uri: str) -> list[object]:
        inline = {"keys": [public(hotel.client_key)]}
        await world.shared.alliance.by_two("change_client_keys", client=hotel.client, jwks=inline)
        return [public(new_key())]

    published = PublishedKeys(gateway.database, gateway.ledger, gateway.clock, moving, SecurityLog())
    await published.renewed(await world.known())
    known = await world.known()
    assert (known.jwks_uri, [key.thumbprint for _, key in known.keys]) == (None, [hotel.client_key.thumbprint()])
    assert await world.published() == []


async def test_a_failing_look_is_told_to_our_log_alone(world: Publishing) -> None:
    gateway, log = world.shared.gateway, SecurityLog()

    async def failing(uri: str) -> list[object]:
        raise KeysUnfetched("KEYS_TIMEOUT")

    published = PublishedKeys(gateway.database, gateway.ledger, gateway.clock, failing, log)
    known = await world.known()
    assert await published.renewed(known) is known
    assert log.attempts == {("KEYS_TIMEOUT", world.member.client): 1}
    world.site.status = "500 Oops"
    world.pass_seconds(_MINUTE)
    answer = await world.member.ask_token()
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "KEYS" not in answer.text


async def signed_by(world: Publishing, subject: Subject) -> SignedRequest | None:
    """A read that the client's key signs now, as the read route has it verified."""
    identity, key = world.shared.gateway.identity, world.member.client_key
    sent = Message("GET", f"{world.shared.alliance.base}/v1/x", {"authorization": "Bearer token"})
    signature = Signature(key, world.member.now, key.thumbprint(), ["@method", "@target-uri", "authorization"])
    stated, made = signature.write(sent)
    fields = {**sent.headers, "signature-input": stated, "signature": made}
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    return await identity.verify_signature(subject, "GET", "/v1/x", headers, b"")


async def test_a_published_key_that_disappeared_signs_no_message_of_a_client_by_certificate_either(
    world: Publishing,
) -> None:
    """Such a client sends no assertions, so nobody else would ever look at its address again."""
    token = await world.member.token()
    await world.member.get("/v1/agreements", token)  # for its nonce
    subject = await world.shared.subject(world.member, token)
    method = Method(
        name=MethodName.SELF_SIGNED_TLS_CLIENT_AUTH, binding=Binding.CERTIFICATE, certificates=(b64(b"c" * 32),)
    )
    await world.shared.alliance.by_two("change_client_method", client=world.member.client, method=method.facts())
    subject = replace(subject, client_version=(await world.known()).version)
    assert await signed_by(world, subject) is not None
    world.site.publish()
    world.pass_seconds(_FIVE_MINUTES)
    with pytest.raises(NotAuthenticated):
        await signed_by(world, subject)
    world.site.publish(public(world.member.client_key))
    world.pass_seconds(_FIVE_MINUTES)
    assert await signed_by(world, subject) is not None
    world.site.status = "503 Away"
    world.pass_seconds(_HOUR)
    with pytest.raises(NotAuthenticated):
        await signed_by(world, subject)


async def test_an_rsa_key_is_published_too(world: Publishing) -> None:
    key: Any = RSAKey.generate_key(2048)
    world.member.client_key = key
    world.site.publish({**dict(key.as_dict(private=False)), "alg": "PS256", "use": "sig", "kid": "2026"})
    assert await world.status() == 200
    assert [kid for kid, _ in (await world.known()).keys] == ["2026"]
    assert isinstance(new_key(), ECKey)

"""The gateway's own keys take over from each other while two processes serve, and no request fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy import select

from gateway.app import Gateway
from gateway.database import Query
from gateway.errors import Conflicting, Invalid, Refused
from gateway.identity.introspection import SIGNED
from gateway.identity.token_keys import KEY_SET_CACHE_SECONDS
from gateway.identity.tokens import LIFETIME_SECONDS
from gateway.ledger import receipts
from gateway.signing import WINDOWS
from gateway.vault.errors import KeysUnavailable
from gateway.vault.own_keys import FOLLOW_S, REREAD_S
from gateway.vault.rotation import RotatedKey, Windows
from gateway.vault.tables import signing_key
from gateway.web import web
from tests.access.world import ENGINES, Deal, Shared, second_process, shared_on
from tests.alliance import Alliance, Member
from tests.databases import database_on
from tests.served import served

DAY_S = 86_400
BY_TWO = {"operator": "anna", "approver": "bert"}
_KEYS = Query(select(signing_key).order_by(signing_key.c.created_at))


@dataclass
class Processes:
    """Two gateways over one database, the hotel as it calls each, and what everybody has heard."""

    shared: Shared
    gateways: tuple[Gateway, Gateway]
    hotels: tuple[Member, Member]
    deal: Deal
    seen: Counter[Any] = field(default_factory=Counter)
    receipts: list[str] = field(default_factory=list)

    @property
    def clock_s(self) -> int:
        return self.shared.clock.ms // 1000

    async def turn(self, gateway: Gateway) -> None:
        """What a server does every `REREAD_S` seconds, in the order in which it does it."""
        await gateway.signing.follow()
        for use in RotatedKey:
            await gateway.key_rotation.turn(use)

    async def states(self, use: str) -> list[str]:
        """The states of a use's keys, the oldest key first."""
        return [row["state"] for row in await self.shared.gateway.database.all(_KEYS) if row["use"] == use]

    async def kids(self, use: str) -> dict[str, str]:
        """The kids of a use by state; the newest of each."""
        rows = await self.shared.gateway.database.all(_KEYS)
        return {row["state"]: row["kid"] for row in rows if row["use"] == use}

    async def acts(self) -> list[tuple[str, str, Any]]:
        """The entries of the operator's log about keys; of the actor who it is, without the proposal."""
        entries = [one for one in await self.shared.entries(self.shared.alliance.id) if one["kind"] == "key"]
        return [(one["act"], one["use"], _people(one["actor"])) for one in entries]


@pytest.fixture(params=ENGINES)
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Processes]:
    async with (
        shared_on(request, tmp_path, request.param) as shared,
        second_process(shared) as other,
        _http(other) as http,
    ):
        elsewhere = Alliance(other, http, shared.alliance.id, shared.alliance.members)
        async with shared.gateway.database.transaction() as tx:  # they were made by the machine's own clock
            await tx.run(Query(signing_key.update().values(created_at=shared.clock.ms, active_at=shared.clock.ms)))
        shared.clock.pass_seconds(1)
        hotels = (shared.hotel, replace(shared.hotel, alliance=elsewhere, nonces={}))
        yield Processes(shared, (shared.gateway, other), hotels, await shared.market())


@asynccontextmanager
async def _http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=gateway.settings.base_url) as http:
        yield http


async def begin(gateway: Gateway, use: RotatedKey) -> str:
    """Two operators publish a new key; returns its kid."""
    [alliance] = await gateway.members.alliances()
    proposal = await gateway.approvals.propose(alliance, "rotate_key", {"use": use.value}, operator="anna")
    return await gateway.approvals.approve(proposal, operator="bert")


def _people(actor: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in actor.items() if name != "proposal"}


def kid_of(compact: str) -> str:
    """The key that a JWS names."""
    return str(jws.extract_compact(compact.encode()).headers()["kid"])


# ── the windows ────────────────────────────────────────────────────────────────────────────────────────────────


@given(cache=st.integers(0, 100_000), life=st.integers(0, 100_000), delay=st.integers(0, FOLLOW_S))
def test_the_windows_outlast_every_memory_of_the_state_before(cache: int, life: int, delay: int) -> None:
    """The inequalities of decision 0016, for any cache and any life."""
    windows = Windows(cache_s=cache, life_s=life)
    last_set_without_the_key = delay + cache
    assert windows.published_s >= last_set_without_the_key
    last_use_of_what_the_key_signed = delay + life
    assert windows.retiring_s >= last_use_of_what_the_key_signed
    assert windows.retiring_s >= life + cache


async def test_the_windows_are_made_of_what_is_really_promised(processes: Processes) -> None:
    assert (WINDOWS.cache_s, WINDOWS.life_s) == (KEY_SET_CACHE_SECONDS, LIFETIME_SECONDS)
    assert REREAD_S * 2 < FOLLOW_S
    for path in ("/jwks", "/v1/jwks"):
        answer = await processes.shared.alliance.http.get(path)
        assert answer.headers["cache-control"] == f"public, max-age={WINDOWS.cache_s}"
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert "dpop-nonce" not in answer.headers, "what everybody may cache carries no nonce"
    token = await processes.shared.hotel.ask_token()
    assert token.json()["expires_in"] <= WINDOWS.life_s


# ── a full rotation under load ─────────────────────────────────────────────────────────────────────────────────


async def test_no_request_fails_while_both_keys_are_rotated(processes: Processes) -> None:
    for use in RotatedKey:
        await begin(processes.gateways[0], use)
    first = {use: (await processes.kids(use))["active"] for use in RotatedKey}
    verifier = CachingVerifier(processes)
    over = asyncio.Event()
    load = [
        asyncio.create_task(_work(processes, side, verifier, over, keeps=keeps))
        for side in (0, 1)
        for keeps in (False, True)
    ]
    steps = 0
    until = processes.clock_s + WINDOWS.published_s + WINDOWS.retiring_s + 3 * FOLLOW_S
    while processes.clock_s < until:
        processes.shared.clock.pass_seconds(FOLLOW_S // 2)
        steps += 1
        await processes.turn(processes.gateways[steps % 2])  # the other one lags, as far as it may
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.15)
    over.set()
    await asyncio.gather(*load)
    assert set(processes.seen) <= {"read", "token", *first.values(), *(await processes.kids("token")).values()}
    assert processes.seen["read"] > 100
    assert processes.seen["token"] > 50
    for use in RotatedKey:
        assert await processes.states(use) == ["retired", "active"]
        assert (await processes.kids(use))["retired"] == first[use]
    tokens = await processes.kids("token")
    assert processes.seen[tokens["retired"]] > 10, "the load began before the new key signed"
    assert processes.seen[tokens["active"]] > 10, "and went on after it did"
    signed_by = {kid_of(receipt) for receipt in processes.receipts}
    assert signed_by == set((await processes.kids("receipt")).values())
    await _every_receipt_verifies(processes)
    assert await processes.acts() == [
        *(("key_published", use.value, BY_TWO) for use in RotatedKey),
        *((act, use.value, {"gateway": "schedule"}) for use in RotatedKey for act in ("key_retiring", "key_activated")),
        *(("key_retired", use.value, {"gateway": "schedule"}) for use in RotatedKey),
    ]


async def _work(
    processes: Processes, side: int, verifier: CachingVerifier, over: asyncio.Event, *, keeps: bool
) -> None:
    """Get tokens from one process and use them at both; one that `keeps` them uses them as long as they live."""
    hotel, mine = replace(processes.hotels[side], nonces={}), f"{side}{keeps}"
    deal = processes.deal
    token, born = "", 0
    calling = [replace(one, nonces={}, proof_key=hotel.proof_key) for one in processes.hotels]
    while not over.is_set():
        now = processes.clock_s
        if not token or not keeps or now > born + LIFETIME_SECONDS - FOLLOW_S:
            answer = await hotel.ask_token(hotel.under(deal.agreement, deal.dataset))
            assert answer.status_code == 200, (mine, answer.text)
            token, born = answer.json()["access_token"], now
            processes.seen["token"] += 1
            processes.seen[kid_of(token)] += 1
        await verifier.check(token)
        for member in calling:
            if processes.clock_s >= born + LIFETIME_SECONDS:
                break
            read = await member.get(deal.path, token)
            assert read.status_code == 200 or processes.clock_s >= born + LIFETIME_SECONDS, (mine, read.text)
            if read.status_code == 200:
                processes.seen["read"] += 1
                processes.receipts.append(read.json()["receipt"])
        await asyncio.sleep(0)


@dataclass
class CachingVerifier:
    """Somebody who verifies our tokens by a key set that is kept for as long as `Cache-Control` allows."""

    processes: Processes
    keys: KeySet | None = None
    read_at: int = 0
    reads: int = 0

    async def check(self, token: str) -> None:
        now = self.processes.clock_s
        if self.keys is None or now - self.read_at >= KEY_SET_CACHE_SECONDS:
            self.reads += 1
            hotel = self.processes.hotels[self.reads % 2]
            answer = await hotel.alliance.http.get("/jwks")
            self.keys, self.read_at = KeySet.import_key_set(answer.json()), now
        jws.deserialize_compact(token, self.keys, algorithms=["Ed25519"])


async def _every_receipt_verifies(processes: Processes) -> None:
    published = (await processes.shared.alliance.http.get("/v1/jwks")).json()["keys"]
    by_kid = {key["kid"]: key for key in published}
    for receipt in processes.receipts:
        key = by_kid[kid_of(receipt)]
        found = receipts.verify(receipt, key)
        assert found.issued_at <= key.get("exp", found.issued_at)
    of_receipts_and_messages = [True, False] * 2
    assert ["exp" in key for key in published] == of_receipts_and_messages, "the one that signs no more is marked"


# ── step by step ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_step_waits_for_its_window_and_happens_once(processes: Processes) -> None:
    one, two = processes.gateways
    await begin(one, RotatedKey.TOKEN)
    waits = [WINDOWS.published_s, WINDOWS.retiring_s]
    states = [["active", "published"], ["retiring", "active"], ["retired", "active"]]
    for (before, after), seconds in zip(pairwise(states), waits, strict=True):
        assert await processes.states("token") == before
        processes.shared.clock.pass_seconds(seconds - 1)
        await asyncio.gather(*(processes.turn(gateway) for gateway in (one, two, one, two)))
        assert await processes.states("token") == before
        processes.shared.clock.pass_seconds(1)
        await asyncio.gather(*(processes.turn(gateway) for gateway in (one, two, one, two)))
        assert await processes.states("token") == after
    assert [act for act, *_ in await processes.acts()] == [
        "key_published", "key_retiring", "key_activated", "key_retired",
    ]  # fmt: skip
    assert await processes.states("receipt") == ["active"], "the other use is not touched"


async def test_a_published_key_is_in_every_set_before_it_signs_and_its_predecessor_after(processes: Processes) -> None:
    one, two = processes.gateways
    hotel = processes.hotels[1]
    old = (await processes.kids("token"))["active"]
    await begin(one, RotatedKey.TOKEN)
    new = (await processes.kids("token"))["published"]

    async def published() -> list[set[str]]:
        return [
            {key["kid"] for key in (await side.alliance.http.get("/jwks")).json()["keys"]} for side in processes.hotels
        ]

    processes.shared.clock.pass_seconds(FOLLOW_S)  # without a turn: whoever is asked looks by itself
    assert await published() == [{old, new}] * 2
    assert kid_of(await hotel.token()) == old
    processes.shared.clock.pass_seconds(WINDOWS.published_s)
    await processes.turn(one)
    await processes.turn(one)
    last = await hotel.token()
    assert kid_of(last) == new, "a process that has read nothing for long reads before it signs"
    assert await published() == [{old, new}] * 2
    processes.shared.clock.pass_seconds(WINDOWS.retiring_s)
    await processes.turn(two)
    await processes.turn(two)
    processes.shared.clock.pass_seconds(FOLLOW_S)
    assert await published() == [{new}] * 2


async def test_a_process_that_has_read_nothing_for_long_reads_before_it_signs_an_introspection(
    processes: Processes,
) -> None:
    one, _ = processes.gateways
    new = await begin(one, RotatedKey.TOKEN)
    processes.shared.clock.pass_seconds(WINDOWS.published_s)
    await processes.turn(one)
    told = await processes.hotels[1].ask("/introspect", token="none", headers={"Accept": SIGNED})
    assert kid_of(told.text) == new


async def test_only_one_key_waits_for_its_turn(processes: Processes) -> None:
    one, two = processes.gateways
    kid = await begin(one, RotatedKey.RECEIPT)
    assert (await processes.kids("receipt"))["published"] == kid
    with pytest.raises(Conflicting, match="rotation_under_way"):
        await begin(two, RotatedKey.RECEIPT)
    assert await processes.states("receipt") == ["active", "published"]
    assert len(await processes.acts()) == 1


async def test_two_who_approve_at_once_publish_one_key(processes: Processes) -> None:
    gateway, alliance = processes.gateways[0], processes.shared.alliance.id
    proposals = [
        await gateway.approvals.propose(alliance, "rotate_key", {"use": "token"}, operator="anna") for _ in range(2)
    ]
    begun = await asyncio.gather(
        *(one.approvals.approve(proposal, operator="bert") for one in processes.gateways for proposal in proposals),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflicting) for one in begun) == 3
    assert await processes.states("token") == ["active", "published"]
    assert [act for act, *_ in await processes.acts()] == ["key_published"]


async def test_one_operator_rotates_no_key_and_an_unknown_use_is_no_proposal(processes: Processes) -> None:
    approvals, alliance = processes.gateways[0].approvals, processes.shared.alliance.id
    proposal = await approvals.propose(alliance, "rotate_key", {"use": "token"}, operator="anna")
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await approvals.approve(proposal, operator="anna")
    assert await processes.states("token") == ["active"]
    for other, code in (({"use": "log"}, "unknown_use"), ({}, "invalid_argument"), ({"all": 1}, "unknown_argument")):
        with pytest.raises(Invalid, match=code):
            await approvals.propose(alliance, "rotate_key", other, operator="anna")
    await approvals.approve(proposal, operator="bert")
    assert await processes.acts() == [("key_published", "token", BY_TWO)]
    with pytest.raises(Conflicting, match="rotation_under_way"):
        await approvals.propose(alliance, "rotate_key", {"use": "token"}, operator="anna")


async def test_a_rotation_is_entered_in_the_log_of_every_alliance(processes: Processes) -> None:
    gateway = processes.gateways[0]
    first = processes.shared.alliance.id
    other = await gateway.members.create_alliance("Another", operator="anna")
    proposal = await gateway.approvals.propose(first, "rotate_key", {"use": "token"}, operator="anna")
    await gateway.approvals.approve(proposal, operator="bert")
    for alliance in (first, other):
        acts = [entry["act"] for entry in await processes.shared.entries(alliance) if entry["kind"] == "key"]
        assert acts == ["key_published"]


async def test_the_private_half_of_a_retired_key_is_gone_and_the_public_one_stays(processes: Processes) -> None:
    gateway = processes.gateways[0]
    await begin(gateway, RotatedKey.TOKEN)
    for seconds in (WINDOWS.published_s, WINDOWS.retiring_s):
        processes.shared.clock.pass_seconds(seconds)
        await processes.turn(gateway)
    rows = {row["state"]: row for row in await gateway.database.all(_KEYS) if row["use"] == "token"}
    retired = rows["retired"]
    assert bytes(retired["wrapped"]) == b""
    assert len(bytes(retired["public"])) == 32
    assert retired["created_at"] <= retired["active_at"] < retired["retiring_at"] < retired["retired_at"]
    assert len(bytes(rows["active"]["wrapped"])) > 32


# ── by schedule, and when something is in the way ──────────────────────────────────────────────────────────────


async def test_keys_are_rotated_by_schedule(processes: Processes) -> None:
    one, two = processes.gateways
    processes.shared.clock.pass_seconds(90 * DAY_S - 2)
    await asyncio.gather(processes.turn(one), processes.turn(two))
    assert await processes.acts() == []
    processes.shared.clock.pass_seconds(1)
    await asyncio.gather(*(processes.turn(gateway) for gateway in (one, two, one, two)))
    assert await processes.acts() == [("key_published", use.value, {"gateway": "schedule"}) for use in RotatedKey]
    processes.shared.clock.pass_seconds(WINDOWS.published_s)
    await asyncio.gather(*(processes.turn(gateway) for gateway in (one, two, one, two)))
    for use in RotatedKey:
        assert await processes.states(use) == ["retiring", "active"]
    processes.shared.clock.pass_seconds(90 * DAY_S)
    await asyncio.gather(*(processes.turn(gateway) for gateway in (one, two, one, two)))
    for use in RotatedKey:
        assert await processes.states(use) == ["retired", "active", "published"]


async def test_a_token_by_a_key_that_a_process_does_not_know_is_looked_up_once(processes: Processes) -> None:
    """As after a rotation that was cut short by hand: the windows make sure that it does not happen otherwise."""
    one, two = processes.gateways
    await begin(one, RotatedKey.TOKEN)
    processes.shared.clock.pass_seconds(WINDOWS.published_s)
    await two.signing.follow()
    _forget_published(two)
    await one.key_rotation.turn(RotatedKey.TOKEN)
    await one.signing.follow()
    deal = processes.deal
    token = await processes.hotels[0].token(processes.hotels[0].under(deal.agreement, deal.dataset))
    assert kid_of(token) == (await processes.kids("token"))["active"]
    reads = counted(two, "token")
    assert (await processes.hotels[1].get(deal.path, token)).status_code == 200
    assert reads() == 1
    for _ in range(5):
        for kid in ("kid-1", "kid-2"):
            forged = jws.serialize_compact(
                {"alg": "Ed25519", "typ": "at+jwt", "kid": kid},
                b"{}",
                OKPKey.generate_key("Ed25519"),
                algorithms=["Ed25519"],
            )
            assert (await processes.hotels[1].get(deal.path, forged)).status_code == 401
    assert reads() == 1, "strangers' kids cost a look-up a second at most"
    processes.shared.clock.pass_seconds(1)
    assert (await processes.hotels[1].get(deal.path, forged)).status_code == 401
    assert reads() == 2


def _forget_published(gateway: Gateway) -> None:
    """The process holds what it would hold if it had read its keys just before the new one was published."""
    keys = gateway.signing._token_keys
    keys._held = replace(keys.held, keys=tuple(key for key in keys.held.keys if key.state != "published"))
    keys._taker(keys.held)


def counted(gateway: Gateway, use: str) -> Any:
    """How often a process has read its keys of a use since."""
    keys = getattr(gateway.signing, f"_{use}_keys")
    inner, count = keys._read, Counter[str]()

    async def read() -> None:
        count[use] += 1
        await inner()

    keys._read = read
    return lambda: count[use]


async def test_a_key_that_cannot_be_unlocked_is_not_activated(processes: Processes) -> None:
    one, two = processes.gateways
    await begin(one, RotatedKey.TOKEN)
    async with one.database.transaction() as tx:
        spoilt = Query(signing_key.update().where(signing_key.c.state == "published").values(wrapped=b"spoilt"))
        assert await tx.run(spoilt) == 1
    processes.shared.clock.pass_seconds(WINDOWS.published_s)
    for gateway in (one, two):
        await gateway.signing.follow()
        with pytest.raises(KeysUnavailable):
            await gateway.key_rotation.turn(RotatedKey.TOKEN)
    assert await processes.states("token") == ["active", "published"]
    await processes.hotels[0].token()


async def test_without_an_active_key_nothing_is_signed(processes: Processes) -> None:
    one, _ = processes.gateways
    deal = processes.deal
    token = await processes.hotels[0].token(processes.hotels[0].under(deal.agreement, deal.dataset))
    for use in ("token", "receipt"):
        async with one.database.transaction() as tx:
            lost = signing_key.update().where(signing_key.c.use == use).values(state="retiring")
            assert await tx.run(Query(lost)) == 1
        with pytest.raises(KeysUnavailable):
            await one.signing.follow()
        with pytest.raises(KeysUnavailable):
            await getattr(one.signing, f"_{use}_keys").read()
    entered = await processes.shared.entries(processes.shared.alliance.id)
    asked = await processes.hotels[0].ask_token()
    assert (asked.status_code, asked.json()["error"]) == (503, "temporarily_unavailable")
    assert await processes.shared.entries(processes.shared.alliance.id) == entered, "no grant without its token"
    read = await processes.hotels[0].get(deal.path, token)
    assert (read.status_code, read.json()["code"]) == (503, "keys_unavailable")


async def test_a_compromised_key_ends_at_once_with_all_that_it_signed(processes: Processes) -> None:
    one, two = processes.gateways
    deal, clock = processes.deal, processes.shared.clock
    await begin(one, RotatedKey.TOKEN)
    token = await processes.hotels[0].token(processes.hotels[0].under(deal.agreement, deal.dataset))
    for hotel in processes.hotels:
        assert (await hotel.get(deal.path, token)).status_code == 200
    clock.pass_seconds(1)
    made = await one.key_rotation.replace(RotatedKey.TOKEN, operator="anna")
    assert sorted(await processes.states("token")) == ["active", "retired", "retired"]
    assert all(bytes(row["wrapped"]) == b"" for row in await one.database.all(_KEYS) if row["state"] == "retired")
    clock.pass_seconds(REREAD_S)
    for gateway in (one, two):
        await processes.turn(gateway)
    for hotel in processes.hotels:
        assert (await hotel.get(deal.path, token)).status_code == 401, "also where it was verified before"
        [published] = (await hotel.alliance.http.get("/jwks")).json()["keys"]
        assert published["kid"] == made
        new = await hotel.token(hotel.under(deal.agreement, deal.dataset))
        assert (await hotel.get(deal.path, new)).status_code == 200
    assert [(act, actor) for act, _, actor in await processes.acts()][1:] == [
        *[("key_compromised", {"operator": "anna"})] * 2,
        ("key_activated", {"operator": "anna"}),
    ]


async def test_what_a_compromised_key_signed_is_refused_by_the_very_next_call_on_every_process(
    processes: Processes,
) -> None:
    """Also by a process that does not know of it yet, and also what that one goes on signing."""
    one, two = processes.gateways
    deal, owner = processes.deal, processes.shared.bank.id
    under = processes.hotels[0].under(deal.agreement, deal.dataset)
    token, own = await processes.hotels[0].token(under), await processes.hotels[0].token()
    for hotel in processes.hotels:
        assert (await hotel.get(deal.path, token)).status_code == 200
        assert (await hotel.get("/v1/members", own)).status_code == 200
    narrowed = await one.ledger.narrowing(owner)
    await one.key_rotation.replace(RotatedKey.RECEIPT, operator="anna")
    assert (await processes.hotels[1].get(deal.path, token)).status_code == 200, "a key of receipts opens nothing"
    assert await one.ledger.narrowing(owner) == narrowed
    made = await one.key_rotation.replace(RotatedKey.TOKEN, operator="anna")
    assert two.signing.tokens.current.kid != made, "the other has not followed"
    late = await processes.hotels[1].token(under)
    assert await one.ledger.narrowing(owner) == narrowed + 1
    await one.identity.forget_expired()
    for hotel in processes.hotels:
        for path, used in ((deal.path, token), (deal.path, late), ("/v1/members", own)):
            refused = await hotel.get(path, used)
            assert refused.status_code == 401, path
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    for gateway in (one, two):
        await processes.turn(gateway)
    for hotel in processes.hotels:
        assert (await hotel.get(deal.path, await hotel.token(under))).status_code == 200


# ── with real processes ────────────────────────────────────────────────────────────────────────────────────────


async def test_running_servers_follow_a_command_without_a_restart(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with database_on(request.getfixturevalue("postgresql")) as url:
        valkey = request.getfixturevalue("valkey").url
        async with served(tmp_path, processes=2, database_url=url, valkey_url=valkey) as site:
            http = site.alliance.http
            for use, path in (("token", "/jwks"), ("receipt", "/v1/jwks")):
                code, proposal = await site.command("admin", "rotate-key", use)
                assert code == 0, proposal
                code, kid = await site.command("admin", "approve", proposal.strip(), by="bert")
                assert code == 0, kid
                kid = kid.strip()
                for server in site.servers:
                    async with asyncio.timeout(FOLLOW_S):
                        while kid not in await _published_at(http, server.port, path):
                            await asyncio.sleep(0.2)
                code, said = await site.command("admin", "rotate-key", use)
                assert (code, "rotation_under_way" in said) == (1, True), said
            acts = [row for row in await site.rows(site.alliance.id) if row["kind"] == "key"]
            assert [(row["act"], row["use"]) for row in acts] == [
                ("key_published", "token"), ("key_published", "receipt"),
            ]  # fmt: skip


async def _published_at(http: httpx.AsyncClient, port: int, path: str) -> set[str]:
    answer = await http.get(f"http://any{path}", extensions={"port": port})
    return {key["kid"] for key in answer.json()["keys"]}

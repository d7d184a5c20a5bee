"""Replay windows and the nonces that stand and fall with their memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from valkey.asyncio import Valkey as Client

from gateway.identity import MemoryWindow, ReplayWindow
from gateway.identity.nonces import WINDOW_SECONDS, Nonces
from gateway.identity.replay import ReplayUnavailable
from gateway.identity.replay_valkey import ValkeyWindow
from tests.identity.world import ISSUER, MovableClock, World
from tests.services.valkey import Valkey

NOW = 1_800_000_000


@asynccontextmanager
async def _window(valkey: Valkey, clock: MovableClock, prefix: str) -> AsyncIterator[ValkeyWindow]:
    window = await ValkeyWindow.connect(valkey.url, clock, prefix=prefix)
    try:
        yield window
    finally:
        await window.close()


async def _once(window: ReplayWindow) -> None:
    assert await window.reserve("resource", "key", "a" * 16, NOW + 60)
    assert not await window.reserve("resource", "key", "a" * 16, NOW + 60)
    assert not await window.reserve("resource", "key", "a" * 16, NOW + 10)
    assert await window.reserve("token", "key", "a" * 16, NOW + 60)
    assert await window.reserve("resource", "other", "a" * 16, NOW + 60)
    assert await window.reserve("resource", "key", "b" * 16, NOW + 60)


async def test_memory_reserves_once() -> None:
    await _once(MemoryWindow(MovableClock()))


async def test_valkey_reserves_once(valkey: Valkey) -> None:
    async with _window(valkey, MovableClock(), "once") as window:
        await _once(window)


async def test_a_closed_window_takes_nothing(valkey: Valkey) -> None:
    clock = MovableClock()
    async with _window(valkey, clock, "closed") as shared:
        for window in (MemoryWindow(clock), shared):
            assert not await window.reserve("resource", "key", "a" * 16, NOW)
            assert await window.reserve("resource", "key", "a" * 16, NOW + 1)


async def test_a_clock_set_back_opens_no_closed_window() -> None:
    clock = MovableClock()
    window = MemoryWindow(clock)
    assert await window.reserve("resource", "key", "a" * 16, NOW + 5)
    clock.pass_seconds(100)
    assert await window.reserve("resource", "key", "b" * 16, NOW + 160)
    clock.pass_seconds(-100)
    assert not await window.reserve("resource", "key", "a" * 16, NOW + 5)


async def test_memory_is_bounded_by_time_and_never_by_count() -> None:
    clock = MovableClock()
    window = MemoryWindow(clock)
    for number in range(20_000):
        assert await window.reserve("resource", "key", f"{number:016}", NOW + 72)
    assert not await window.reserve("resource", "key", f"{0:016}", NOW + 72)
    clock.pass_seconds(100)
    assert await window.reserve("resource", "key", "z" * 16, NOW + 160)
    assert sum(map(len, window._generations.values())) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-20, 20), st.integers(1, 70)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_nothing_is_reserved_twice_whatever_the_clock_does(steps: list[tuple[int, int, int]]) -> None:
    async def play() -> None:
        clock = MovableClock()
        window = MemoryWindow(clock)
        accepted: dict[int, int] = {}
        for jti, moved, ahead in steps:
            clock.pass_seconds(moved)
            until = accepted.get(jti, clock.ms // 1000 + ahead)
            if await window.reserve("resource", "key", f"{jti:016}", until):
                assert jti not in accepted
                accepted[jti] = until

    asyncio.run(play())


async def test_of_many_simultaneous_uses_one_wins_in_valkey(valkey: Valkey) -> None:
    clock = MovableClock()
    async with _window(valkey, clock, "race") as one, _window(valkey, clock, "race") as two:
        tries = [window.reserve("token", "key", "a" * 16, NOW + 60) for window in (one, two) * 10]
        assert sum(await asyncio.gather(*tries)) == 1


async def test_processes_accept_each_others_nonces_and_not_each_others_replays(valkey: Valkey, world: World) -> None:
    async with _window(valkey, world.clock, "both") as one, _window(valkey, world.clock, "both") as two:
        first, second = world.another_process(one), world.another_process(two)
        assert first.next_nonce() == second.next_nonce()
        token = await world.token(identity=first)
        url = "https://gateway.example/v1/things"
        proof = world.proof("GET", url, nonce=first.next_nonce(), token=token)
        await world.call(token, proof=proof, identity=second)
        assert (await world.challenge(token, proof=proof, identity=first)).reason == "PROOF_REPLAYED"


async def test_a_store_that_lost_its_memory_lets_no_old_proof_in(valkey: Valkey, world: World) -> None:
    async with _window(valkey, world.clock, "lost") as window:
        process = world.another_process(window)
        token = await world.token(identity=process)
        url = "https://gateway.example/v1/things"
        proof = world.proof("GET", url, nonce=process.next_nonce(), token=token)
        await world.call(token, proof=proof, identity=process)
        client = Client.from_url(valkey.url)
        await client.flushall()
        await client.aclose()
        with pytest.raises(ReplayUnavailable):
            await world.call(token, proof=proof, identity=process)
        assert (await world.challenge(token, proof=proof, identity=process)).error == "use_dpop_nonce"
        await world.call(token, identity=process)


async def test_a_store_that_comes_back_from_an_old_snapshot_lets_no_old_proof_in(world: World) -> None:
    """The secret and everything is restored, except the reservations made since: a restart is another secret."""
    url = "https://gateway.example/v1/things"
    with Valkey() as server:
        window = await ValkeyWindow.connect(server.url, world.clock)
        process = world.another_process(window)
        client = Client.from_url(server.url)
        await client.save()
        await client.aclose()
        token = await world.token(identity=process)
        ahead = world.proof("GET", url, nonce=process.next_nonce(), token=token, iat=world.now + 10)
        await world.call(token, proof=ahead, identity=process)
        server.kill()
        server.start()
        world.clock.pass_seconds(1)
        for _ in range(3):
            with suppress(ReplayUnavailable):
                assert (await world.challenge(token, proof=ahead, identity=process)).error == "use_dpop_nonce"
                break
        await world.call(token, identity=process)
        await window.close()


async def test_a_node_whose_clock_is_behind_lets_no_proof_in_again(valkey: Valkey, world: World) -> None:
    """The proof's time is over for the first node, and not yet for the second."""
    behind = MovableClock()
    async with _window(valkey, world.clock, "skew") as one, _window(valkey, behind, "skew") as two:
        assert await one.reserve("resource", "key", "a" * 16, NOW + 1)
        await asyncio.sleep(2.5)
        assert not await two.reserve("resource", "key", "a" * 16, NOW + 1)


async def test_neither_assertion_nor_proof_dated_ahead_outlives_a_restart(each_world: World) -> None:
    """Everything in memory is gone, the database stays; both are still within their time, and neither is accepted."""
    world = each_world
    assertion = world.assertion(iat=NOW + 10, nbf=NOW + 10, exp=NOW + 310)
    proof = world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce(), iat=NOW + 10)
    await world.ask(form={"client_assertion": assertion}, proof=proof)
    restarted = world.another_process()
    world.clock.pass_seconds(15)
    again: dict[str, Any] = {"identity": restarted, "form": {"client_assertion": assertion}}
    assert (await world.refusal(proof=proof, **again)).error == "use_dpop_nonce"
    assert (await world.refusal(**again)).code == "ASSERTION_REPLAYED"
    world.clock.pass_seconds(294)
    assert (await world.refusal(**again)).code == "ASSERTION_REPLAYED"
    world.clock.pass_seconds(1)
    assert (await world.refusal(**again)).code == "ASSERTION_EXPIRED"
    assert len(world.record.granted) == 1


async def test_a_nonce_is_asked_for_before_the_assertion_is_spent(world: World) -> None:
    assertion = world.assertion()
    challenged = await world.refusal(
        form={"client_assertion": assertion}, proof=world.proof("POST", f"{ISSUER}/token", nonce="old")
    )
    assert (challenged.error, challenged.nonce) == ("use_dpop_nonce", world.token_nonce())
    await world.ask(form={"client_assertion": assertion})


async def test_without_its_store_nothing_is_accepted() -> None:
    with pytest.raises(ReplayUnavailable):
        await ValkeyWindow.connect("valkey://127.0.0.1:9/0", MovableClock())


async def test_a_store_that_stops_refuses_with_503(world: World) -> None:
    with Valkey() as server:
        window = await ValkeyWindow.connect(server.url, world.clock)
        process = world.another_process(window)
        token = await world.token(identity=process)
    with pytest.raises(ReplayUnavailable):
        await world.call(token, identity=process)
    refused = await world.refusal(identity=process)
    assert (refused.error, refused.status) == ("temporarily_unavailable", 503)
    await window.close()


def test_a_nonce_holds_for_one_to_two_windows() -> None:
    clock = MovableClock()
    clock.ms = NOW // WINDOW_SECONDS * WINDOW_SECONDS * 1000
    nonces = Nonces("resource", lambda: b"s" * 32, clock)
    nonce = nonces.current()
    clock.pass_seconds(2 * WINDOW_SECONDS - 0.001)
    assert nonces.accepts(nonce)
    clock.pass_seconds(0.001)
    assert not nonces.accepts(nonce)
    assert nonces.current() != nonce


def test_a_nonce_of_the_future_is_refused() -> None:
    clock = MovableClock()
    nonces = Nonces("resource", lambda: b"s" * 32, clock)
    clock.pass_seconds(WINDOW_SECONDS)
    nonce = nonces.current()
    clock.pass_seconds(-WINDOW_SECONDS)
    assert not nonces.accepts(nonce)


def test_the_servers_nonces_differ() -> None:
    clock = MovableClock()
    token, resource = (Nonces(role, lambda: b"s" * 32, clock) for role in ("token", "resource"))
    assert token.current() != resource.current()
    assert not resource.accepts(token.current())


async def test_a_token_endpoints_nonce_opens_no_resource(world: World) -> None:
    token = await world.token()
    assert (await world.challenge(token, nonce=world.token_nonce())).error == "use_dpop_nonce"


async def test_a_restart_makes_older_proofs_useless(world: World) -> None:
    token = await world.token()
    url = "https://gateway.example/v1/things"
    proof = world.proof("GET", url, nonce=world.identity.next_nonce(), token=token)
    await world.call(token, proof=proof)
    restarted = world.another_process()
    assert (await world.challenge(token, proof=proof, identity=restarted)).error == "use_dpop_nonce"
    await world.call(token, identity=restarted)

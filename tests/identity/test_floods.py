"""A flood stops whoever makes it, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from gateway.errors import Invalid
from gateway.identity import Identity, Rate, Rates, TokenRefused, assertions
from gateway.identity.floods import Buckets, Floods
from gateway.identity.security_log import by_code
from tests.identity.world import MovableClock, World, build_second_client

RATES = Rates(client=Rate(2, 10), stranger=Rate(1, 5))
HOME, AWAY = "198.51.100.1", "203.0.113.9"


def _small(world: World) -> Identity:
    return world.another_process(rates=RATES)


async def _until_limited(ask: Callable[[], Awaitable[Any]], most: int = 50) -> tuple[int, TokenRefused]:
    """How many requests got another answer than 429, and the first 429."""
    for count in range(most):
        try:
            await ask()
        except TokenRefused as refused:
            if refused.retry_after:
                return count, refused
    raise AssertionError("nothing was limited")


async def test_a_client_has_its_share_and_is_told_when_to_come_back(world: World) -> None:
    identity = _small(world)
    count, refused = await _until_limited(lambda: world.ask(identity=identity, peer=HOME))
    assert count == 10
    assert (refused.status, refused.error, refused.code) == (429, "temporarily_unavailable", "FLOOD_OF_CLIENT")
    assert refused.retry_after == 1
    assert by_code(identity.log.attempts)["FLOOD_OF_CLIENT"] == 1
    assert world.record.refused == [(world.client, "FLOOD_OF_CLIENT")]
    world.clock.pass_seconds(1)
    count, _ = await _until_limited(lambda: world.ask(identity=identity, peer=HOME))
    assert count == 2


async def test_a_flooding_client_stops_no_other_even_at_its_own_address(world: World) -> None:
    identity, other = _small(world), await build_second_client(world)
    for _ in range(40):
        await _until_limited(lambda: world.ask(identity=identity, peer=HOME))
    await other.ask(identity=identity, peer=HOME)
    await other.ask(identity=identity, peer=AWAY)


async def test_a_flooding_stranger_stops_no_client_elsewhere(world: World) -> None:
    identity, stranger = _small(world), OKPKey.generate_key("Ed25519")
    count, refused = await _until_limited(lambda: world.ask(identity=identity, peer=AWAY, key=stranger))
    assert count == 5
    assert (refused.status, refused.code) == (429, "FLOOD_OF_STRANGERS")
    assert world.record.refused == []
    await world.ask(identity=identity, peer=HOME)


async def test_a_flooding_stranger_stops_no_proven_client_behind_the_same_address(world: World) -> None:
    identity, stranger = _small(world), OKPKey.generate_key("Ed25519")
    await world.ask(identity=identity, peer=HOME)
    await _until_limited(lambda: world.ask(identity=identity, peer=HOME, key=stranger, iss="nobody"))
    await world.ask(identity=identity, peer=HOME)
    world.clock.pass_seconds(3600)
    await _until_limited(lambda: world.ask(identity=identity, peer=HOME, key=stranger, iss="nobody"))
    assert (await world.refusal(identity=identity, peer=HOME)).code == "FLOOD_OF_STRANGERS"


async def test_names_that_change_all_the_time_count_together(world: World) -> None:
    identity = _small(world)
    names = iter(f"nobody-{number}" for number in range(50))
    count, _ = await _until_limited(lambda: world.ask(identity=identity, peer=AWAY, iss=next(names)))
    assert count == 5


async def test_signatures_for_one_claimed_client_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger knows a client's id and sits behind its address: it gets no more than a client's attempts."""
    identity, stranger = _small(world), OKPKey.generate_key("Ed25519")
    await world.ask(identity=identity, peer=HOME)
    verified = 0
    signed_by = assertions.signed_by

    def counted(*given: Any) -> bool:
        nonlocal verified
        verified += 1
        return signed_by(*given)

    monkeypatch.setattr(assertions, "signed_by", counted)
    for _ in range(200):
        await world.refusal(identity=identity, peer=HOME, key=stranger)
    assert verified == 10
    await world.ask(identity=identity, peer=AWAY)


async def test_a_captured_assertion_uses_no_share_up(world: World) -> None:
    identity = _small(world)
    captured = world.assertion()
    await world.ask(identity=identity, peer=HOME, form={"client_assertion": captured})
    for _ in range(200):
        await world.refusal(identity=identity, peer=AWAY, form={"client_assertion": captured})
    for _ in range(9):
        await world.ask(identity=identity, peer=HOME)


async def test_a_nonce_challenge_is_an_attempt_until_it_is_answered(world: World) -> None:
    """A client that never remembers a nonce has its whole share, and one that never answers has no more."""
    identity = _small(world)

    async def challenged() -> None:
        refused = await world.refusal(identity=identity, peer=HOME, proof=_without_nonce(world))
        assert refused.error in ("use_dpop_nonce", "temporarily_unavailable")

    for _ in range(9):
        await challenged()
    await world.ask(identity=identity, peer=HOME)
    for _ in range(30):
        await challenged()
    assert (await world.refusal(identity=identity, peer=HOME)).status == 429
    world.clock.pass_seconds(1)
    await challenged()
    await world.ask(identity=identity, peer=HOME)


def _without_nonce(world: World) -> str:
    return world.proof("POST", "https://gateway.example/token", nonce="old")


async def test_many_at_once_are_counted_too(world: World) -> None:
    identity, stranger = _small(world), OKPKey.generate_key("Ed25519")
    answers = await asyncio.gather(
        *(world.ask(identity=identity, peer=AWAY, key=stranger) for _ in range(40)), return_exceptions=True
    )
    limited = [one for one in answers if isinstance(one, TokenRefused) and one.status == 429]
    assert len(limited) >= 30
    await world.ask(identity=identity, peer=HOME)


def test_an_ipv6_network_is_one_address() -> None:
    floods = Floods(RATES, MovableClock())
    for number in range(5):
        floods.failed(f"2001:db8:1:2::{number:x}")
    with pytest.raises(TokenRefused):
        floods.attempt("2001:db8:1:2:ffff::1", "client")
    floods.attempt("2001:db8:1:3::1", "client")
    for _ in range(5):
        floods.failed("::ffff:192.0.2.1")
    with pytest.raises(TokenRefused):
        floods.attempt("192.0.2.1", "client")


def test_keys_are_bounded_and_who_was_quiet_longest_is_forgotten() -> None:
    clock = MovableClock()
    buckets = Buckets(Rate(1, 1), clock, keys=3)
    buckets.take("a")
    clock.pass_seconds(2)
    for key in "bcd":
        buckets.take(key)
    assert all(buckets.wait(key) for key in "bcd")
    buckets.take("e")
    assert buckets.wait("b") == 0
    assert len(buckets._full_at) == 3


@given(
    st.integers(1, 20), st.integers(1, 30), st.lists(st.tuples(st.integers(-2000, 3000), st.booleans()), max_size=80)
)
@settings(max_examples=200, deadline=None)
def test_never_more_than_burst_and_rate_and_never_longer_than_a_burst(
    per_second: int, burst: int, steps: list[tuple[int, bool]]
) -> None:
    """Whatever the clock does: what was taken is bounded by the time that passed, and so is the wait."""
    clock = MovableClock()
    buckets, taken, forward = Buckets(Rate(per_second, burst), clock), 0, 0
    for moved, insists in steps:
        clock.ms += moved
        forward += max(moved, 0)
        wait = buckets.wait("key")
        assert wait <= burst / per_second + 1
        if not wait:
            buckets.take("key")
            taken += 1
        elif insists:
            buckets.take("key")
    backwards = sum(-moved for moved, _ in steps if moved < 0)
    assert taken <= burst + (forward + backwards) / 1000 * per_second + 1


def test_what_is_given_back_was_not_taken() -> None:
    buckets = Buckets(Rate(1, 2), MovableClock())
    for _ in range(10):
        assert buckets.wait("key") == 0
        buckets.take("key")
        buckets.give_back("key")
    buckets.give_back("unknown")
    buckets.take("key")
    buckets.take("key")
    assert buckets.wait("key") == 1


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (1, 0), (-1, 5)])
def test_a_rate_of_nothing_is_refused(per_second: int, burst: int) -> None:
    with pytest.raises(Invalid):
        Rate(per_second, burst)

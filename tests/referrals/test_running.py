"""A referral that cannot be dealt with keeps no other one waiting, and is told of in the end."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from gateway.errors import Conflicting, GatewayError
from gateway.ledger.errors import LedgerRolledBack
from gateway.referrals import offering, run
from gateway.referrals.referral import Referral
from gateway.referrals.writing import move
from tests.referrals.world import DAY_S, Referring, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)


MOVED = Conflicting("referral_moved", "It was moved meanwhile.")
ROLLED_BACK = LedgerRolledBack("The log ran back.")


class Stuck:
    """Moves every referral but this one."""

    def __init__(self, referral: str, error: GatewayError = MOVED) -> None:
        self.referral = referral
        self.error = error

    async def __call__(self, change: Any, found: Referral, *to: Any, **new: Any) -> Referral:
        if found.id == self.referral:
            raise self.error
        return await move(change, found, *to, **new)


@pytest.mark.parametrize("error", [MOVED, ROLLED_BACK])
async def test_one_that_cannot_be_offered_keeps_no_later_one_waiting(
    bank: Referring, monkeypatch: pytest.MonkeyPatch, error: GatewayError
) -> None:
    stuck, other = [await bank.refer(next(_numbers)) for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(offering, "move", Stuck(stuck, error))
        with pytest.raises(type(error)):
            await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, other) == "offered"
    await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, stuck) == "offered"


async def test_as_many_as_a_page_holds_that_cannot_be_offered_keep_no_later_one_waiting(
    bank: Referring, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = [await bank.refer(next(_numbers)) for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(offering, "move", Stuck(stuck, ROLLED_BACK))
        patched.setattr(run, "_PAGE", 1)
        with pytest.raises(LedgerRolledBack):
            await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, other) == "offered"
    await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, stuck) == "offered"


async def test_what_is_found_again_though_it_was_done_is_tried_once(
    bank: Referring, monkeypatch: pytest.MonkeyPatch
) -> None:
    referral, running = await bank.refer(next(_numbers)), bank.shared.gateway.referrals.running
    with monkeypatch.context() as patched:
        match = AsyncMock(return_value=True)
        patched.setattr(running, "_offering", Mock(match=match))
        async with asyncio.timeout(30):
            assert (await running.run()).matched == 1
        match.assert_awaited_once_with(referral)
    await running.run()
    assert await state(bank.hotel, referral) == "offered"


async def test_one_that_cannot_be_returned_keeps_no_other_one_waiting(
    bank: Referring, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, *_ = sorted([await bank.offer(next(_numbers)) for _ in range(2)])
    bank.shared.clock.pass_seconds(12 * DAY_S)
    waiting = await bank.refer(next(_numbers))
    with monkeypatch.context() as patched:
        patched.setattr(run, "move", Stuck(stuck))
        with pytest.raises(Conflicting, match="referral_moved"):
            await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, waiting) == "offered"
    assert (await bank.shared.gateway.referrals.running.run()).returned == 1, "every other one was returned before"

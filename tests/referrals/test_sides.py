"""Each side does what is its own to do, and whoever is no party finds nothing."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from gateway.referrals.acts import ACTS
from gateway.referrals.states import REFERRERS
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import PREVIEW, Referring, act, post, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
SAID: dict[str, Any] = {
    "preview": PREVIEW,
    "reason": "other",
    "about": "city",
    "value": {"minor": 1, "currency": "CNY"},
    "step": "hold",
}


async def test_no_side_does_an_act_of_the_other_one(bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    for name, known in ACTS.items():
        other = bank.hotel if name in REFERRERS else bank.referrer
        refused = await act(other, referral, name, **{member: SAID[member] for member in known.members})
        assert refused.status_code == 403, name
        assert refused.json()["reasons"][0]["code"] == "OTHER_SIDE_ONLY"
    assert await state(bank.hotel, referral) == "offered"


async def test_a_referrer_is_disclosed_nobody(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    done(await act(bank.hotel, referral, "accept"))
    before = len(await shared.accesses())
    refused = await post(bank.referrer, f"/v1/referrals/{referral}/disclosure", {})
    assert (refused.status_code, refused.json()["reasons"][0]["code"]) == (403, "OTHER_SIDE_ONLY")
    assert (await state(bank.hotel, referral), len(await shared.accesses())) == ("accepted", before)


async def test_whoever_is_no_party_finds_no_referral_that_was_offered(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    answers = [
        await see(shared.stranger, referral),
        await act(shared.stranger, referral, "accept"),
        await act(shared.stranger, referral, "cancel"),
        await post(shared.stranger, f"/v1/referrals/{referral}/disclosure", {}),
    ]
    unknown = await see(shared.stranger, "0" * 32)
    assert [one.status_code for one in answers] == [404] * len(answers)
    assert {one.json()["code"] for one in answers} == {unknown.json()["code"]}
    assert await state(bank.hotel, referral) == "offered"

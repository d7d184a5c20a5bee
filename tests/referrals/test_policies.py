"""A policy is in force by the words of both parties, each said anew for what was replaced meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.access.world import Shared
from tests.alliance import Member
from tests.confiding import done
from tests.referrals.world import Referring, post, referring

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def say(member: Member, of: Referring, k: int) -> dict[str, Any]:
    """What is told to a party that states a policy."""
    said = {"rule": "first_registered", "k": k}
    told: dict[str, Any] = done(await post(member, f"/v1/agreements/{of.deal.agreement}/referral-policy", said))
    return told


def proposed(told: dict[str, Any]) -> list[tuple[int, str]]:
    """The k of what is proposed, and who proposed it."""
    return [(one["policy"]["k"], one["proposed_by"]) for one in told["proposed"]]


async def entered(shared: Shared) -> int:
    """How many entries about policies the hotel's log has."""
    entries = await shared.entries(shared.hotel.id)
    return sum(str(one.get("act", "")).startswith("referral_policy") for one in entries)


async def test_whoever_repeats_what_is_in_force_changes_nothing(shared: Shared) -> None:
    of = await referring(shared, shared.bank, [1])
    for member in (of.referrer, of.hotel):
        await say(member, of, 7)
    before = await entered(shared)
    for member in (of.referrer, of.hotel):
        told = await say(member, of, 7)
        assert (told["policy"]["k"], told["proposed"]) == (7, [])
    assert await entered(shared) == before


async def test_whoever_repeats_a_proposal_leaves_it_as_it_was(shared: Shared) -> None:
    of = await referring(shared, shared.bank, [1])
    first = await say(of.referrer, of, 7)
    before = await entered(shared)
    shared.clock.pass_seconds(60)
    assert await say(of.referrer, of, 7) == first
    assert await entered(shared) == before


async def test_what_was_replaced_needs_both_words_again(shared: Shared) -> None:
    of = await referring(shared, shared.bank, [1])
    for k in (7, 8):
        for member in (of.referrer, of.hotel):
            await say(member, of, k)
    told = await say(of.hotel, of, 7)
    assert (told["policy"]["k"], proposed(told)) == (8, [(7, of.hotel.id)])
    assert (await say(of.referrer, of, 7))["policy"]["k"] == 7


async def test_nothing_is_proposed_under_an_agreement_that_was_terminated(shared: Shared) -> None:
    of = await referring(shared, shared.bank, [1])
    done(await post(of.referrer, f"/v1/agreements/{of.deal.agreement}/termination", {}))
    path = f"/v1/agreements/{of.deal.agreement}/referral-policy"
    refused = await post(of.hotel, path, {"rule": "first_registered"})
    assert refused.status_code == 409, refused.text
    assert refused.json()["code"] == "agreement_terminated"
    assert done(await of.hotel.get(path, await of.hotel.token()))["proposed"] == []

"""Which holds freeze a referral, and which of them stop its clock: those of its own cases, while they last."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from gateway.agreements import HoldSubject
from gateway.agreements.held import access_of, term_of
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import (
    DAY_S,
    HOUR_S,
    PREVIEW,
    Referring,
    act,
    both_agree,
    decided,
    entries_of,
    in_hours,
    referring,
    see,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)


async def hold(of: Referring, referral: str, kind: HoldSubject = HoldSubject.REFERRAL, **over: Any) -> str:
    """An operator's hold; by default of the referral itself, for its referrer."""
    place, said = of.shared.gateway.holds.place, {"case": "r-1", "operator": "test", "owner": of.referrer.id} | over
    return str(await place(of.shared.alliance.id, kind, referral, **said))


async def standing(of: Referring, referral: str) -> tuple[str | None, str | None]:
    """The case that holds it, and its deadline, as the hotel sees them."""
    seen = done(await see(of.hotel, referral))
    return seen["case"], seen["due_at"]


async def claimed_by_both(
    bank: Referring, airline: Referring, *, disclosed: bool = False
) -> tuple[list[str], list[str]]:
    """Two claims of one person that are contested together, and the case of each."""
    number = next(_numbers)
    contact = {"phone": f"133{number:08}"}
    first = await (bank.disclosed if disclosed else bank.offer)(number, contact=contact)
    claims = [first, await airline.offer(number, contact=contact)]
    return claims, [done(await see(bank.hotel, one))["case"] for one in claims]


@pytest.mark.parametrize("held", ["another referral", "another kind", "another owner"])
async def test_a_hold_of_something_else_neither_freezes_it_nor_stops_its_clock(bank: Referring, held: str) -> None:
    referral, other = [await bank.offer(next(_numbers)) for _ in range(2)]
    before = await standing(bank, referral)
    match held:
        case "another referral":
            await hold(bank, other)
        case "another kind":
            await hold(bank, referral, HoldSubject.MEMO)
        case "another owner":
            await hold(bank, referral, owner=bank.hotel.id)
    assert await standing(bank, referral) == before
    done(await act(bank.hotel, referral, "accept"))


@pytest.mark.parametrize("kind", ["agreement", "dataset", "term", "recipient_of_owner", "referral"])
async def test_while_a_case_holds_it_or_what_it_was_made_under_nothing_is_offered_shown_or_accepted(
    shared: Shared, kind: str
) -> None:
    bank = await referring(shared, shared.bank, range(1, 7))
    offered = [await bank.offer(number) for number in range(1, 6)][-1]
    assert done(await see(bank.hotel, offered))["preview"]["city"] == PREVIEW["city"]
    registered = await bank.refer(6)
    agreement, dataset = bank.deal.agreement, bank.deal.dataset
    pairs = {"term": term_of(agreement, dataset), "recipient_of_owner": access_of(bank.hotel.id, bank.referrer.id)}
    held = pairs | {"agreement": agreement, "dataset": dataset, "referral": offered}
    placed = await hold(bank, held[kind], HoldSubject(kind))
    await shared.gateway.referrals.running.run()
    assert (await see(bank.hotel, registered)).status_code == (200 if kind == "referral" else 404)
    accepted = await act(bank.hotel, offered, "accept")
    assert (accepted.status_code, accepted.json()["case"]) == (423, "r-1")
    seen = done(await see(bank.hotel, offered))
    assert (seen["case"], seen["preview"]) == ("r-1", dict.fromkeys(PREVIEW))
    assert done(await see(bank.referrer, offered))["preview"] == PREVIEW
    await shared.alliance.lift(placed)
    await shared.gateway.referrals.running.run()
    for referral in (offered, registered):
        assert done(await see(bank.hotel, referral))["preview"]["city"] == PREVIEW["city"]
        done(await act(bank.hotel, referral, "accept"))


async def test_a_hold_that_was_lifted_freezes_nothing(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    await shared.alliance.lift(await hold(bank, referral))
    assert (await standing(bank, referral))[0] is None
    done(await act(bank.hotel, referral, "accept"))


async def test_a_hold_that_has_elapsed_freezes_nothing(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    await hold(bank, referral, until_ms=shared.clock.ms + HOUR_S * 1000)
    assert await standing(bank, referral) == ("r-1", None)
    shared.clock.pass_seconds(HOUR_S)
    assert (await standing(bank, referral))[0] is None
    done(await act(bank.hotel, referral, "accept"))


async def test_what_goes_on_after_a_case_has_the_deadline_of_its_own_act(shared: Shared, bank: Referring) -> None:
    await bank.policy(accept_hours=720)
    referral = await bank.offer(next(_numbers))
    await bank.policy()
    await shared.alliance.lift(await hold(bank, referral))
    shared.clock.pass_seconds(10 * DAY_S)
    done(await act(bank.hotel, referral, "accept"))
    assert await standing(bank, referral) == (None, in_hours(shared, 48))


async def test_a_case_that_cost_no_business_hour_is_told_as_over_too_and_once(shared: Shared, bank: Referring) -> None:
    due = ""
    while due != in_hours(shared, 24):
        due = in_hours(shared, 24)
        shared.clock.pass_seconds(HOUR_S)
    referral = await bank.offer(next(_numbers))
    placed = await hold(bank, referral)
    shared.clock.ms += 1
    await shared.alliance.lift(placed)
    for _ in range(2):
        await shared.gateway.referrals.running.run()
    assert await standing(bank, referral) == (None, due)
    acts = [one["act"] for one in await entries_of(shared, bank.hotel.id, referral)]
    assert acts == ["referral_offered", "referral_resumed"]


async def test_a_disclosed_claim_does_not_wait_for_the_case_of_the_other_one(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    (first, second), cases = await claimed_by_both(bank, airline, disclosed=True)
    shared.clock.pass_seconds(3 * DAY_S)
    await decided(shared, cases[:1])
    assert await standing(bank, first) == (None, in_hours(shared, 48))
    assert await standing(bank, second) == (cases[1], None)
    done(await act(bank.hotel, first, "contact"))


async def test_a_conflict_does_not_wait_for_the_cases_of_another_one(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    (claims, cases), (others, _) = [await claimed_by_both(bank, airline) for _ in range(2)]
    shared.clock.pass_seconds(3 * DAY_S)
    await decided(shared, cases)
    assert [await standing(bank, one) for one in claims] == [(None, in_hours(shared, 24))] * 2
    assert [(await standing(bank, one))[1] for one in others] == [None] * 2

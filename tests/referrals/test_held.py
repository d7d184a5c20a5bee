"""While a case holds a referral its clock stands still, and only a party to that referral can open one."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from gateway.agreements import HoldSubject
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import (
    DAY_S,
    HOUR_S,
    Referring,
    act,
    ask_dispute,
    both_agree,
    decided,
    entries_of,
    in_hours,
    see,
    state,
    terms,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
WORTH = {"minor": 100, "currency": "CNY"}


async def due_of(of: Referring, referral: str) -> list[str | None]:
    """The deadline as the referrer and the hotel see it."""
    return [done(await see(member, referral))["due_at"] for member in (of.referrer, of.hotel)]


async def test_a_dispute_about_a_disclosed_referral_stops_its_clock_which_begins_anew_with_the_decision(
    shared: Shared, bank: Referring
) -> None:
    number = next(_numbers)
    referral = await bank.disclosed(number, contact={"phone": f"138{number:08}"})
    case, kept = await bank.dispute(bank.referrer, referral), await terms(shared, referral)
    assert (await act(bank.hotel, referral, "contact")).status_code == 423
    assert await due_of(bank, referral) == [None, None]
    shared.clock.pass_seconds(10 * DAY_S)
    await shared.gateway.referrals.running.run()
    assert await state(bank.referrer, referral) == await state(bank.hotel, referral) == "disclosed"
    assert await terms(shared, referral) == kept > 0
    await decided(shared, [case])
    due = in_hours(shared, 48)
    assert await due_of(bank, referral) == [due, due]
    await asyncio.gather(*(shared.gateway.referrals.running.run() for _ in range(2)))
    assert await due_of(bank, referral) == [due, due]
    for log in (bank.referrer.id, bank.hotel.id):
        acts = [one["act"] for one in await entries_of(shared, log, referral)]
        assert (acts[-1], acts.count("referral_resumed")) == ("referral_resumed", 1)
    for name, said in (("contact", {}), ("qualify", {}), ("win", {"value": WORTH})):
        done(await act(bank.hotel, referral, name, **said))


@pytest.mark.parametrize(("acts", "hours"), [((), 24), (("accept",), 48)])
async def test_what_was_frozen_has_its_whole_time_again_even_before_the_run_has_come(
    shared: Shared, bank: Referring, acts: tuple[str, ...], hours: int
) -> None:
    referral = await bank.offer(next(_numbers))
    for name in acts:
        done(await act(bank.hotel, referral, name))
    before = await state(bank.hotel, referral)
    case = await bank.dispute(bank.hotel, referral)
    shared.clock.pass_seconds(20 * DAY_S)
    await decided(shared, [case])
    due = in_hours(shared, hours)
    shared.clock.pass_seconds(HOUR_S)
    assert (await state(bank.hotel, referral), await due_of(bank, referral)) == (before, [due, due])
    shared.clock.pass_seconds(20 * DAY_S)
    assert await state(bank.referrer, referral) == "expired", "it stands still for the case, and not for ever"


async def test_an_act_between_the_decision_and_the_run_keeps_the_new_deadline(shared: Shared, bank: Referring) -> None:
    referral = await bank.disclosed(next(_numbers))
    case = await bank.dispute(bank.hotel, referral)
    shared.clock.pass_seconds(20 * DAY_S)
    await decided(shared, [case])
    due = in_hours(shared, 48)
    shared.clock.pass_seconds(HOUR_S)
    done(await bank.ask_disclosure(referral))
    assert (await state(bank.hotel, referral), await due_of(bank, referral)) == ("disclosed", [due, due])


async def test_a_dispute_revives_nothing_whose_deadline_is_over(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers))
    shared.clock.pass_seconds(12 * DAY_S)
    await bank.dispute(bank.referrer, referral)
    assert await state(bank.referrer, referral) == await state(bank.hotel, referral) == "expired"
    await shared.gateway.referrals.running.run()
    assert [one["act"] for one in await entries_of(shared, bank.hotel.id, referral)][-1] == "referral_returned"


async def test_a_withdrawal_ends_even_what_a_case_holds(shared: Shared, bank: Referring) -> None:
    number = next(_numbers)
    referral = await bank.disclosed(number)
    await bank.dispute(bank.hotel, referral)
    await bank.withdraw(number)
    await shared.gateway.referrals.running.run()
    assert await state(bank.hotel, referral) == "withdrawn"
    assert [one["act"] for one in await entries_of(shared, bank.hotel.id, referral)][-1] == "referral_withdrawn"


async def test_a_hold_that_ends_by_itself_gives_the_time_back_too(shared: Shared, bank: Referring) -> None:
    await bank.policy(accept_hours=720)
    referral = await bank.offer(next(_numbers))
    await bank.policy()
    ends = shared.clock.ms + 20 * DAY_S * 1000
    hold = await shared.gateway.holds.place(
        shared.alliance.id,
        HoldSubject.REFERRAL,
        referral,
        case="r-7",
        operator="test",
        until_ms=ends,
        owner=bank.referrer.id,
    )
    shared.clock.pass_seconds(20 * DAY_S)
    due = in_hours(shared, 720)
    assert await due_of(bank, referral) == [due, due]
    shared.clock.pass_seconds(9 * DAY_S)
    await shared.alliance.lift(hold)
    assert await due_of(bank, referral) == [due, due], "nobody lifts what has ended already"
    done(await act(bank.hotel, referral, "accept"))


async def test_what_is_frozen_before_the_recipient_was_offered_it_has_all_the_time_of_an_offer_afterwards(
    shared: Shared, bank: Referring
) -> None:
    referral = await bank.refer(next(_numbers))
    case = await bank.dispute(bank.referrer, referral)
    await shared.gateway.referrals.running.run()
    shared.clock.pass_seconds(20 * DAY_S)
    assert (await state(bank.hotel, referral), await due_of(bank, referral)) == ("offered", [None, None])
    await decided(shared, [case])
    due = in_hours(shared, 24)
    assert await due_of(bank, referral) == [due, due]


async def test_a_frozen_offer_that_the_last_touch_displaces_tells_its_referrer_nothing(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="last_touch")
    number = next(_numbers)
    contact = {"phone": f"134{number:08}"}
    first = await bank.offer(number, contact=contact)
    case = await bank.dispute(bank.referrer, first)
    second = await airline.offer(number, contact=contact)
    assert [await state(bank.hotel, one) for one in (first, second)] == ["duplicate", "offered"]
    seen = done(await see(bank.referrer, first))
    assert (seen["state"], seen["due_at"], seen["case"]) == ("under_review", None, case)
    shared.clock.pass_seconds(20 * DAY_S)
    await decided(shared, [case])
    seen = done(await see(bank.referrer, first))
    assert (seen["state"], seen["due_at"]) == ("under_review", in_hours(shared, 24))


async def test_what_was_set_aside_without_a_word_is_frozen_and_freed_as_an_offer_is(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    """Or a dispute would ask whether the recipient knows the person."""
    await both_agree(bank, airline)
    number = next(_numbers)
    contact = {"phone": f"137{number:08}"}
    await bank.disclosed(number, contact=contact)
    hidden, offered = await airline.offer(number, contact=contact), await airline.offer(next(_numbers))
    cases = [await airline.dispute(airline.referrer, one) for one in (hidden, offered)]
    seen = []
    for days in (10, 0, 12):
        shared.clock.pass_seconds(days * DAY_S)
        if not days:
            await decided(shared, cases)
        await shared.gateway.referrals.running.run()
        seen.append([done(await see(airline.referrer, one)) for one in (hidden, offered)])
    for one, other in seen:
        alike = one.keys() - {"id", "case", "preview", "drafted_at", "registered_at"}
        assert {name: one[name] for name in alike} == {name: other[name] for name in alike}
    assert [one["state"] for one, _ in seen] == ["under_review", "under_review", "expired"]
    acts = [[one["act"] for one in await entries_of(shared, airline.referrer.id, of)] for of in (hidden, offered)]
    assert acts[0] == acts[1]


async def test_what_was_set_aside_in_words_has_no_deadline_after_a_case_either(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, tells="outcome")
    number = next(_numbers)
    contact = {"phone": f"132{number:08}"}
    await bank.offer(number, contact=contact)
    aside = await airline.offer(number, contact=contact)
    case = await airline.dispute(airline.referrer, aside)
    for days in (1, 20):
        shared.clock.pass_seconds(days * DAY_S)
        await decided(shared, [case] if days == 1 else [])
        await shared.gateway.referrals.running.run()
        seen = done(await see(airline.referrer, aside))
        assert (seen["state"], seen["due_at"]) == ("duplicate", None)


async def test_contested_claims_stand_still_until_each_of_their_cases_is_decided(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number = next(_numbers)
    contact = {"phone": f"136{number:08}"}
    first, second = await bank.disclosed(number, contact=contact), await airline.offer(number, contact=contact)
    cases = [done(await see(bank.hotel, one))["case"] for one in (first, second)]
    shared.clock.pass_seconds(10 * DAY_S)
    await shared.gateway.referrals.running.run()
    assert [await state(bank.hotel, one) for one in (first, second)] == ["disclosed", "conflict_hold"]
    await decided(shared, cases[1:])
    await shared.gateway.referrals.running.run()
    assert await due_of(airline, second) == [None, None], "it cannot be accepted yet"
    shared.clock.pass_seconds(10 * DAY_S)
    await decided(shared, cases[:1])
    await shared.gateway.referrals.running.run()
    assert [(await due_of(bank, first))[0], (await due_of(airline, second))[0]] == [
        in_hours(shared, hours) for hours in (48, 24)
    ]


async def test_nobody_freezes_a_referral_of_another_agreement(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    referral = await bank.offer(next(_numbers))
    unrelated = await bank.referrer.agree(airline.referrer, await shared.places(), ["code"])
    other = await bank.referrer.agree(bank.hotel, await shared.places(), ["code"])
    for member, agreement in ((airline.referrer, unrelated), (bank.hotel, other), (bank.referrer, other)):
        refused = await ask_dispute(member, agreement, referral)
        assert (refused.status_code, refused.json()["code"]) == (400, "subject_not_disputable")
    assert (await ask_dispute(bank.hotel, bank.deal.agreement, "0" * 32)).status_code == 400
    done(await act(bank.hotel, referral, "accept"))


async def test_a_recipient_disputes_no_referral_that_it_was_not_offered(bank: Referring) -> None:
    referral = await bank.refer(next(_numbers), consented=False)
    refused = await ask_dispute(bank.hotel, bank.deal.agreement, referral)
    assert (refused.status_code, refused.json()["code"]) == (400, "subject_not_disputable")
    await bank.dispute(bank.referrer, referral)

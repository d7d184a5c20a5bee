"""Of claims that were contested together one alone is worked on, whatever each was when the other came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from gateway.agreements.agreement import rfc3339
from gateway.business_days import end_of_business_day
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import Referring, act, both_agree, decided, entries_of, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
WORTH = {"minor": 100, "currency": "CNY"}


def somebody() -> tuple[int, dict[str, str]]:
    """The number of another person, and how it is reached."""
    number = next(_numbers)
    return number, {"phone": f"135{number:08}"}


async def cases_of(of: Referring, claims: Sequence[str]) -> list[str]:
    """A case that holds each of these."""
    return [done(await see(of.hotel, one))["case"] for one in claims]


async def won(of: Referring, referral: str) -> int:
    """What a disclosed referral counts for, in basis points, once it is won."""
    for name, said in (("contact", {}), ("qualify", {}), ("win", {"value": WORTH})):
        done(await act(of.hotel, referral, name, **said))
    return int(done(await see(of.referrer, referral))["share_bp"])


async def test_whoever_accepts_the_later_claim_sets_aside_the_one_that_was_disclosed(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    first, second = await bank.disclosed(number, contact=contact), await airline.offer(number, contact=contact)
    cases = await cases_of(bank, [first, second])
    await decided(shared, cases[1:])
    assert (await act(airline.hotel, second, "accept")).status_code == 423, "the other one is disputed still"
    await decided(shared, cases[:1])
    done(await act(airline.hotel, second, "accept"))
    assert [await state(member, first) for member in (bank.referrer, bank.hotel)] == ["duplicate"] * 2
    assert (await act(bank.hotel, first, "contact")).json()["code"] == "wrong_state"
    for log in (bank.referrer.id, bank.hotel.id):
        assert [one["act"] for one in await entries_of(shared, log, first)][-1] == "referral_set_aside"
    done(await airline.ask_disclosure(second))
    assert await won(airline, second) == 10_000


async def test_a_conflict_is_negotiated_until_the_end_of_the_tenth_business_day(
    bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    claims = [await one.offer(number, contact=contact) for one in (bank, airline)]
    until = end_of_business_day(bank.shared.clock.ms // 1000, 10) * 1000
    for case, member in zip(await cases_of(bank, claims), (bank.referrer, airline.referrer), strict=True):
        told = done(await member.get(f"/v1/cases/{case}", await member.token()))
        assert told["clock_until"] == rfc3339(until)


async def test_none_is_accepted_beside_one_that_was_won(shared: Shared, bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    first, second = await bank.disclosed(number, contact=contact), await airline.offer(number, contact=contact)
    await decided(shared, await cases_of(bank, [first, second]))
    assert await won(bank, first) == 10_000
    refused = await act(airline.hotel, second, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "rival_won")
    assert (await state(bank.hotel, first), await state(airline.hotel, second)) == ("won", "conflict_hold")
    done(await act(airline.hotel, second, "decline", reason="other"))


async def test_a_claim_that_its_own_dispute_holds_is_contested_like_any_other(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    first = await bank.offer(number, contact=contact)
    own = await bank.dispute(bank.hotel, first)
    second = await airline.offer(number, contact=contact)
    assert await state(bank.hotel, first) == await state(airline.hotel, second) == "conflict_hold"
    entries = await entries_of(shared, bank.referrer.id, first)
    opened = [one["case"] for one in entries if one["act"] == "referral_contested"]
    assert len(opened) == 1, "its referrer learns of the conflict by a case of its own"
    await decided(shared, [*opened, *await cases_of(airline, [second])])
    assert (await act(bank.hotel, first, "accept")).status_code == 423
    await decided(shared, [own])
    done(await act(bank.hotel, first, "accept"))
    assert await state(airline.referrer, second) == "duplicate"
    assert (await act(airline.hotel, second, "accept")).json()["code"] == "wrong_state"


async def test_whom_a_conflict_holds_already_gets_no_second_case_of_it(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    first = await bank.disclosed(number, contact=contact)
    for other in (number, next(_numbers)):
        await airline.offer(other, contact=contact)
    opened = [one for one in await entries_of(shared, bank.referrer.id, first) if one["act"] == "referral_contested"]
    assert len(opened) == 1


async def test_a_claim_that_the_person_has_withdrawn_neither_waits_nor_is_set_aside(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    first, second = await bank.disclosed(number, contact=contact), await airline.offer(number, contact=contact)
    await decided(shared, (await cases_of(bank, [first, second]))[1:])
    await bank.withdraw(number)
    done(await act(airline.hotel, second, "accept"))
    await shared.gateway.referrals.running.run()
    assert await state(bank.referrer, first) == "withdrawn"


async def test_two_conflicts_that_turn_out_to_be_about_one_person_become_one(shared: Shared, bank: Referring) -> None:
    await bank.policy(rule="committee")
    contacts = [somebody()[1] | {"email": f"one.{one}@example.com"} for one in range(2)]
    claims = [
        await bank.offer(number, contact=contact)
        for contact in contacts
        for number, contact in ((next(_numbers), {"phone": contact["phone"]}), (next(_numbers), contact))
    ]
    both = {"email": contacts[0]["email"], "phone": contacts[1]["phone"]}
    claims.append(await bank.offer(next(_numbers), contact=both))
    for one in claims:
        while (case := done(await see(bank.hotel, one))["case"]) is not None:
            await decided(shared, [case])
    done(await act(bank.hotel, claims[-1], "accept"))
    assert [await state(bank.hotel, one) for one in claims] == [*["duplicate"] * 4, "accepted"]

"""Two members refer the same person to one recipient: who counts, and what each of them learns."""

from __future__ import annotations

from itertools import count

import pytest

from gateway.consents.contacts import Address, Contacts, Holder, Role
from gateway.referrals.offering import Offering
from gateway.referrals.policy import DAY_MS
from gateway.referrals.referral import existing
from tests.confiding import done
from tests.referrals.world import DAY_S, Referring, act, both_agree, decided, entries_of, referring, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
WORTH = {"minor": 100, "currency": "CNY"}


def somebody() -> tuple[int, dict[str, str]]:
    """The number of another person, and how it is reached."""
    number = next(_numbers)
    return number, {"phone": f"139{number:08}"}


async def test_the_first_valid_registration_counts(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, tells="reason")
    number, contact = somebody()
    first, second = await bank.refer(number, contact=contact), await airline.refer(number, contact=contact)
    await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, first) == "offered"
    told = done(await see(airline.referrer, second))
    assert (told["state"], told["reason"]) == ("duplicate", "already_referred")
    assert (await see(airline.hotel, second)).status_code == 404


async def test_whoever_has_no_consent_is_not_first(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, tells="outcome")
    number, contact = somebody()
    earlier = await bank.refer(number, consented=False, contact=contact)
    later = await airline.offer(number, contact=contact)
    await bank.consent(number)
    await bank.shared.gateway.referrals.running.run()
    assert await state(airline.hotel, later) == "offered"
    told = done(await see(bank.referrer, earlier))
    assert (told["state"], told["reason"]) == ("duplicate", ""), "its policy tells the outcome and no reason"


async def test_whoever_consents_first_is_first_and_not_whoever_was_submitted_first(bank: Referring) -> None:
    persons = [next(_numbers) for _ in range(2)]
    submitted = []
    for number in persons:
        submitted.append(await bank.refer(number, consented=False))
        bank.shared.clock.pass_seconds(1)
    for number in reversed(persons):
        bank.shared.clock.pass_seconds(1)
        await bank.consent(number)
    await bank.shared.gateway.referrals.running.run()
    database, clock = bank.shared.gateway.database, bank.shared.clock
    earlier, later = [(await existing(database, one, clock())).row["sequence"] for one in submitted]
    assert earlier == later + 1


async def test_a_claim_protects_to_the_millisecond(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, protection_days=1, update_days=60, tells="outcome")
    number, contact = somebody()
    first = await bank.disclosed(number, contact=contact)
    done(await act(bank.hotel, first, "contact"))
    bank.shared.clock.ms += DAY_MS
    assert await state(airline.hotel, await airline.offer(number, contact=contact)) == "offered"


async def test_a_claim_protects_for_as_long_as_agreed_and_no_longer(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, protection_days=1, update_days=60, tells="outcome")
    number, contact = somebody()
    first = await bank.disclosed(number, contact=contact)
    done(await act(bank.hotel, first, "contact"))
    bank.shared.clock.ms += DAY_MS - 1
    second = await airline.offer(number, contact=contact)
    assert await state(airline.referrer, second) == "duplicate"
    bank.shared.clock.pass_seconds(1)
    third = await airline.refer(number, consented=False, contact=contact)
    await bank.shared.gateway.referrals.running.run()
    assert await state(airline.hotel, third) == "offered"


async def test_a_withdrawn_claim_stands_against_nobody(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline)
    number, contact = somebody()
    await bank.offer(number, contact=contact)
    await bank.withdraw(number)
    later = await airline.offer(number, contact=contact)
    assert await state(airline.hotel, later) == "offered"


async def test_an_offer_whose_time_is_over_stands_against_nobody_before_its_end_is_recorded(
    bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline)
    number, contact = somebody()
    first = await bank.offer(number, contact=contact)
    bank.shared.clock.pass_seconds(30 * DAY_S)
    later = await airline.refer(number, contact=contact)
    assert await state(bank.hotel, first) == "expired"
    assert await Offering(bank.shared.gateway.database, bank.shared.gateway.ledger, bank.shared.clock).match(later)
    assert (await state(airline.hotel, later), await state(bank.referrer, first)) == ("offered", "expired")


async def test_the_last_touch_displaces_an_offer_that_nobody_answered(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, rule="last_touch", tells="outcome")
    number, contact = somebody()
    first, second = await bank.offer(number, contact=contact), await airline.offer(number, contact=contact)
    assert (await state(bank.referrer, first), await state(airline.hotel, second)) == ("duplicate", "offered")
    done(await act(airline.hotel, second, "accept"))
    third = await bank.offer(number, contact=contact)
    assert await state(bank.referrer, third) == "duplicate"


async def test_the_recipient_is_not_told_why_an_offer_of_its_own_was_set_aside(
    bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="last_touch", tells="reason")
    number, contact = somebody()
    first = await bank.offer(number, contact=contact)
    await airline.offer(number, contact=contact)
    seen = [done(await see(member, first)) for member in (bank.referrer, bank.hotel)]
    assert [(one["state"], one["reason"]) for one in seen] == [("duplicate", "already_referred"), ("duplicate", "")]


async def test_a_split_offers_both_with_their_shares(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline, rule="split", weights=[7000, 3000])
    number, contact = somebody()
    shares = []
    for one in (bank, airline):
        referral = await one.disclosed(number, contact=contact)
        assert done(await see(one.referrer, referral))["share_bp"] is None, "a share tells that there is another"
        for name, said in (("contact", {}), ("qualify", {}), ("win", {"value": WORTH})):
            done(await act(one.hotel, referral, name, **said))
        shares.append(done(await see(one.referrer, referral))["share_bp"])
    assert shares == [7000, 3000]


async def test_a_conflict_opens_a_case_for_each_and_freezes_those_lines_alone(
    bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline, rule="committee")
    number, contact = somebody()
    other = await bank.offer(next(_numbers))
    first, second = await bank.offer(number, contact=contact), await airline.offer(number, contact=contact)
    cases = []
    for one, referral in ((bank, first), (airline, second)):
        told = done(await see(one.referrer, referral))
        assert (told["state"], await state(one.hotel, referral)) == ("conflict_hold", "conflict_hold")
        case = done(await one.referrer.get(f"/v1/cases/{told['case']}", await one.referrer.token()))
        assert (case["claimant"], case["respondent"]) == (one.referrer.id, one.hotel.id)
        assert case["subject"] == {"kind": "referral", "id": referral}
        frozen = await act(one.hotel, referral, "accept")
        assert (frozen.status_code, frozen.json()["case"]) == (423, told["case"])
        assert (await act(one.referrer, referral, "cancel")).status_code == 423
        cases.append(told["case"])
    strangers = await bank.referrer.get(f"/v1/cases/{cases[1]}", await bank.referrer.token())
    assert strangers.status_code == 404, "no referrer learns who the other one is"
    done(await act(bank.hotel, other, "accept"))
    bank.shared.clock.pass_seconds(30 * DAY_S)
    assert await state(bank.hotel, first) == "conflict_hold", "a frozen line's clock stands still"
    await decided(bank.shared, cases)
    await bank.shared.gateway.referrals.running.run()
    done(await act(airline.hotel, second, "accept"))
    assert await state(bank.referrer, first) == "duplicate"
    assert [one["act"] for one in await entries_of(bank.shared, bank.referrer.id, first)][-1] == "referral_set_aside"
    assert (await act(bank.hotel, first, "accept")).json()["code"] == "wrong_state"


async def test_a_third_claim_joins_the_conflict_and_one_of_them_all_is_accepted(
    bank: Referring, airline: Referring
) -> None:
    third = await referring(bank.shared, bank.referrer)
    for one in (bank, airline, third):
        await one.policy(rule="committee")
    _, contact = somebody()
    claims = [await one.offer(number, contact=contact) for one, number in ((bank, 50), (airline, 50), (third, 1))]
    cases = [done(await see(bank.hotel, one))["case"] for one in claims]
    await decided(bank.shared, cases[:2])
    await bank.shared.gateway.referrals.running.run()
    assert (await act(bank.hotel, claims[0], "accept")).status_code == 423, "one of them is disputed still"
    await decided(bank.shared, cases[2:])
    await bank.shared.gateway.referrals.running.run()
    done(await act(bank.hotel, claims[0], "accept"))
    assert [await state(bank.hotel, one) for one in claims] == ["accepted", "duplicate", "duplicate"]


async def test_a_claim_that_comes_after_the_decision_reopens_the_conflict(bank: Referring, airline: Referring) -> None:
    third = await referring(bank.shared, bank.referrer)
    for one in (bank, airline, third):
        await one.policy(rule="committee")
    _, contact = somebody()
    claims = [await one.offer(number, contact=contact) for one, number in ((bank, 51), (airline, 51))]
    await decided(bank.shared, [done(await see(bank.hotel, one))["case"] for one in claims])
    await bank.shared.gateway.referrals.running.run()
    claims.append(await third.offer(2, contact=contact))
    cases = [done(await see(bank.hotel, one))["case"] for one in claims]
    assert None not in cases
    await decided(bank.shared, cases)
    done(await act(airline.hotel, claims[1], "accept"))
    assert [await state(bank.hotel, one) for one in claims] == ["duplicate", "accepted", "duplicate"]


async def test_rules_that_differ_are_a_conflict_even_after_a_disclosure(bank: Referring, airline: Referring) -> None:
    await bank.policy(rule="first_registered")
    await airline.policy(rule="last_touch")
    number, contact = somebody()
    first = await bank.disclosed(number, contact=contact)
    second = await airline.offer(number, contact=contact)
    held = done(await see(bank.referrer, first))
    assert (held["state"], await state(airline.referrer, second)) == ("disclosed", "conflict_hold")
    assert (await act(bank.hotel, first, "contact")).status_code == 423
    assert (await bank.ask_disclosure(first)).status_code == 423


async def test_a_name_and_a_similar_mailbox_match_nobody_and_suggest_only_what_was_disclosed(
    bank: Referring, airline: Referring
) -> None:
    await both_agree(bank, airline)
    number, _ = somebody()
    first = await bank.offer(number, contact={"email": "li.na+bank@example.com"})
    second = await airline.offer(number, contact={"email": "Li.Na@example.com"})
    for one, referral in ((bank, first), (airline, second)):
        assert await state(one.hotel, referral) == "offered"
        assert done(await see(one.hotel, referral))["resembles"] == []
        done(await act(one.hotel, referral, "accept"))
        done(await one.ask_disclosure(referral))
    assert done(await see(airline.hotel, second))["resembles"] == [first]


async def test_nobody_is_suggested_who_is_on_offer_still(bank: Referring, airline: Referring) -> None:
    await both_agree(bank, airline)
    number, _ = somebody()
    await bank.offer(number, contact={"email": "mei.wu+bank@example.com"})
    disclosed = await airline.disclosed(number, contact={"email": "Mei.Wu@example.com"})
    assert done(await see(airline.hotel, disclosed))["resembles"] == []


async def test_a_customer_of_the_recipient_is_set_aside_and_a_similar_mailbox_is_not(bank: Referring) -> None:
    await bank.policy(tells="reason")
    hotel, database, clock = bank.hotel, bank.shared.gateway.database, bank.shared.clock
    contacts = Contacts(database, bank.shared.gateway.keyring, clock)
    reached = await contacts.prepare(Holder(hotel.id, "0" * 64, Role.OWN), Address.read("email", "lu.bo@example.com"))
    async with database.transaction() as tx:
        await contacts.keep(tx, reached, clock())
    similar = await bank.offer(somebody()[0], contact={"email": "lu.bo+bank@example.com"})
    assert await state(bank.referrer, similar) == "under_review"
    assert await state(hotel, similar) == "offered"
    known = done(await see(bank.referrer, await bank.offer(somebody()[0], contact={"email": "lu.bo@EXAMPLE.com"})))
    assert (known["state"], known["reason"]) == ("duplicate", "known_customer")


async def state_contact(bank: Referring, holder: Holder, phone: str) -> None:
    """Somebody states by which number a person, or its guardian, is reached."""
    database, clock = bank.shared.gateway.database, bank.shared.clock
    contacts = Contacts(database, bank.shared.gateway.keyring, clock)
    reached = await contacts.prepare(holder, Address.read("sms", phone))
    async with database.transaction() as tx:
        await contacts.keep(tx, reached, clock())


@pytest.mark.parametrize(("role", "becomes"), [(Role.OWN, "duplicate"), (Role.GUARDIAN, "under_review")])
async def test_a_guardian_of_a_customer_of_the_recipient_is_no_customer(
    bank: Referring, role: Role, becomes: str
) -> None:
    await bank.policy(tells="reason")
    number, contact = somebody()
    await state_contact(bank, Holder(bank.hotel.id, "1" * 64, role), contact["phone"])
    assert await state(bank.referrer, await bank.offer(number, contact=contact)) == becomes


@pytest.mark.parametrize(("role", "becomes"), [(Role.OWN, "duplicate"), (Role.GUARDIAN, "under_review")])
async def test_nobody_is_recognised_by_the_number_of_a_guardian(
    bank: Referring, airline: Referring, role: Role, becomes: str
) -> None:
    await both_agree(bank, airline, tells="outcome")
    (child, contact), (guardian, _) = somebody(), somebody()
    keys = await bank.shared.gateway.keyring.unlock(bank.referrer.id)
    await state_contact(bank, Holder(bank.referrer.id, keys.pseudonym(f"C{child:05}"), role), contact["phone"])
    await bank.offer(child)
    assert await state(airline.referrer, await airline.offer(guardian, contact=contact)) == becomes

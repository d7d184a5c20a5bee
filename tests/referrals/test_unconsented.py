"""What nobody consents to any more is cancelled, and no words outlive a person's withdrawal."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from gateway.referrals.referral import existing
from tests import notices
from tests.access.world import Shared
from tests.confiding import done
from tests.consents.asking.world import BROWSER, Box
from tests.referrals.world import DAY_S, PREVIEW, Referring, act, entries_of, granted, see, state, terms

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
NO_WORDS = dict.fromkeys(PREVIEW)
WAITING_S = 30 * DAY_S
FOR_ANALYSIS = {"purpose": "market_analysis", "fields": ["phone"]}
OF_CONTACT = {"purpose": "customer_referral", "kind": "contact", "channels": ["sms"]}


def somebody() -> tuple[int, dict[str, str]]:
    """A person's number, and how it is reached."""
    number = next(_numbers)
    return number, {"phone": f"1380013{number:04}"}


async def run(shared: Shared) -> None:
    """What has come due is done."""
    await shared.gateway.referrals.running.run()
    await shared.gateway.referrals.running.forget()


async def words(shared: Shared, referral: str) -> str:
    """The sealed words of a referral, '' once they are gone."""
    return str((await existing(shared.gateway.database, referral, shared.clock())).row["preview"])


ABOUT: dict[str, Any] = {"purpose": "customer_referral", "fields": ["phone"]}


async def ask(bank: Referring, number: int, **about: Any) -> str:
    """The bank asks a person; returns where it was written to."""
    address, asked = f"+861380013{number:04}", {"recipient": bank.hotel.id, **(about or ABOUT)}
    is_contact = about.get("kind") == "contact"
    told = await (notice_of_contact(bank) if is_contact else notice_of_fields(bank, asked["purpose"]))
    said = {
        "subject": f"C{number:05}",
        "notice_sha256": told,
        "language": "en",
        "channel": "sms",
        "address": address,
        "items": [asked],
    }
    path = f"/v1/datasets/{bank.deal.dataset}/consent-requests"
    done(await bank.referrer.post(path, await bank.referrer.token(), said))
    return address


async def notice_of_fields(bank: Referring, purpose: str) -> str:
    """What a person is told of every field for a purpose."""
    return await bank.referrer.notice(bank.deal.dataset, bank.hotel, purpose)


async def notice_of_contact(bank: Referring) -> str:
    """What a person is told of being written to by the hotel."""
    owner, hotel = (notices.party(one.id, one.uscc) for one in (bank.referrer, bank.hotel))
    document = notices.notice(owner, [notices.item(hotel, "customer_referral", channels=["sms"])])
    return await bank.referrer.publish(bank.deal.dataset, "being written to", document)


async def leave_unanswered(bank: Referring, number: int) -> None:
    """A person is asked, and lets the question lapse."""
    await ask(bank, number)
    bank.shared.clock.pass_seconds(4 * DAY_S)
    await bank.shared.gateway.asking.inviting.run()


async def refuse(bank: Referring, box: Box, address: str) -> None:
    """The person refuses what it was asked last."""
    asking = bank.shared.gateway.asking
    await asking.refuse_all((await asking.open(box.link(address), BROWSER)).visit)


@pytest.fixture
def box(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> Box:
    """Whatever persons are written."""
    box = Box()
    monkeypatch.setattr(shared.gateway.asking._senders, "_by_channel", {"sms": box, "email": box})
    return box


async def waiting(bank: Referring) -> tuple[int, str]:
    """A person who has not consented, and the referral that waits for it."""
    number, contact = somebody()
    return number, await bank.refer(number, consented=False, contact=contact)


async def is_cancelled(bank: Referring, referral: str) -> bool:
    """Whether it ended for want of consent, without words, terms or a word to the recipient."""
    seen = done(await see(bank.referrer, referral))
    entered = (await entries_of(bank.shared, bank.referrer.id, referral))[-1]
    left = (await words(bank.shared, referral), await terms(bank.shared, referral))
    assert not await entries_of(bank.shared, bank.hotel.id, referral)
    return bool(
        (seen["state"], seen["reason"], seen["preview"]) == ("cancelled", "no_consent", NO_WORDS)
        and (entered["act"], entered["reason"]) == ("referral_cancelled", "no_consent")
        and left == ("", 0)
    )


@pytest.mark.parametrize("end", ["declined", "expired", "won", "cancelled", "lost"])
async def test_the_words_are_gone_once_the_person_has_withdrawn_however_it_ended(
    shared: Shared, bank: Referring, end: str
) -> None:
    number, contact = somebody()
    referral = await bank.offer(number, contact=contact)
    if end in ("won", "lost"):
        done(await act(bank.hotel, referral, "accept"))
        done(await bank.ask_disclosure(referral))
        done(await act(bank.hotel, referral, "contact"))
        done(await act(bank.hotel, referral, "qualify"))
    if end == "won":
        done(await act(bank.hotel, referral, "win", value={"minor": 1, "currency": "CNY"}))
    if end == "lost":
        done(await act(bank.hotel, referral, "lose", reason="other"))
    if end == "declined":
        done(await act(bank.hotel, referral, "decline", reason="no_capacity"))
    if end == "cancelled":
        done(await act(bank.referrer, referral, "cancel"))
    if end == "expired":
        shared.clock.pass_seconds(12 * DAY_S)
        await run(shared)
    assert done(await see(bank.referrer, referral))["preview"] == PREVIEW
    await bank.withdraw(number)
    assert done(await see(bank.referrer, referral))["preview"] == NO_WORDS
    await run(shared)
    assert (await state(bank.referrer, referral), await words(shared, referral)) == (end, "")
    assert await terms(shared, referral) == 0


async def test_what_was_won_stands_against_nobody_after_the_withdrawal(bank: Referring, airline: Referring) -> None:
    number, contact = somebody()
    referral = await bank.disclosed(number, contact=contact)
    for name, said in (("contact", {}), ("qualify", {}), ("win", {"value": {"minor": 1, "currency": "CNY"}})):
        done(await act(bank.hotel, referral, name, **said))
    later = await airline.refer(number, contact=contact)
    await bank.withdraw(number)
    assert await bank.shared.gateway.referrals.running._offering.match(later)
    assert await state(airline.hotel, later) == "offered"


@pytest.mark.parametrize("is_submitted", [False, True])
async def test_what_was_drafted_before_a_withdrawal_is_cancelled_and_not_registered(
    shared: Shared, bank: Referring, is_submitted: bool
) -> None:
    number, contact = somebody()
    referral = await bank.draft(number, contact=contact)
    if is_submitted:
        done(await act(bank.referrer, referral, "submit"))
    await bank.withdraw(number)
    shared.clock.pass_seconds(120)
    await bank.consent(number)
    await run(shared)
    assert await is_cancelled(bank, referral)


@pytest.mark.parametrize("is_submitted", [False, True])
async def test_what_was_drafted_of_a_person_that_is_deleted_is_cancelled(
    shared: Shared, bank: Referring, is_submitted: bool
) -> None:
    number, contact = somebody()
    referral = await bank.draft(number, contact=contact)
    if is_submitted:
        done(await act(bank.referrer, referral, "submit"))
    await granted(bank, number, "deletion")
    await run(shared)
    assert await is_cancelled(bank, referral)


async def test_a_draft_that_outlived_a_withdrawal_is_not_registered_by_its_submission(
    shared: Shared, bank: Referring
) -> None:
    number, contact = somebody()
    referral = await bank.draft(number, contact=contact)
    await bank.withdraw(number)
    shared.clock.pass_seconds(120)
    await bank.consent(number)
    assert done(await act(bank.referrer, referral, "submit"))["state"] == "consent_pending"


async def test_what_the_person_refuses_waits_no_longer(shared: Shared, bank: Referring, box: Box) -> None:
    number, referral = await waiting(bank)
    address = await ask(bank, number)
    await run(shared)
    assert await state(bank.referrer, referral) == "consent_pending"
    await refuse(bank, box, address)
    await run(shared)
    assert await is_cancelled(bank, referral)


async def test_what_the_person_leaves_unanswered_waits_no_longer(shared: Shared, bank: Referring, box: Box) -> None:
    number, referral = await waiting(bank)
    await leave_unanswered(bank, number)
    await run(shared)
    assert await is_cancelled(bank, referral)


async def test_what_the_person_is_asked_anew_waits_for_that_answer(shared: Shared, bank: Referring, box: Box) -> None:
    number, referral = await waiting(bank)
    await leave_unanswered(bank, number)
    await ask(bank, number)
    await run(shared)
    assert await state(bank.referrer, referral) == "consent_pending"


async def test_a_refusal_before_the_submission_ends_no_wait(shared: Shared, bank: Referring, box: Box) -> None:
    number, contact = somebody()
    await refuse(bank, box, await ask(bank, number))
    shared.clock.pass_seconds(1)
    referral = await bank.refer(number, consented=False, contact=contact)
    await run(shared)
    assert await state(bank.referrer, referral) == "consent_pending"


@pytest.mark.parametrize("other", [FOR_ANALYSIS, OF_CONTACT])
async def test_a_refusal_of_something_else_ends_no_wait(
    shared: Shared, bank: Referring, box: Box, other: dict[str, Any]
) -> None:
    number, referral = await waiting(bank)
    await refuse(bank, box, await ask(bank, number, **other))
    await run(shared)
    assert await state(bank.referrer, referral) == "consent_pending"


async def test_a_consent_that_stands_registers_it_whatever_question_lapsed(
    shared: Shared, bank: Referring, box: Box
) -> None:
    number, referral = await waiting(bank)
    await bank.consent(number)
    shared.clock.pass_seconds(1)
    await leave_unanswered(bank, number)
    await run(shared)
    assert await state(bank.hotel, referral) == "offered"


async def test_nobody_is_waited_for_longer_than_thirty_days(shared: Shared, bank: Referring) -> None:
    number, referral = await waiting(bank)
    shared.clock.pass_seconds(WAITING_S - 1)
    await run(shared)
    assert await state(bank.referrer, referral) == "consent_pending"
    await bank.consent(number)
    shared.clock.pass_seconds(1)
    await run(shared)
    assert await is_cancelled(bank, referral)


async def test_a_case_stops_the_wait_and_no_withdrawal(shared: Shared, bank: Referring) -> None:
    (_, kept), (number, given_up) = await waiting(bank), await waiting(bank)
    for referral in (kept, given_up):
        await bank.dispute(bank.referrer, referral)
    shared.clock.pass_seconds(2 * WAITING_S)
    await bank.withdraw(number)
    await run(shared)
    assert await words(shared, kept)
    assert done(await see(bank.referrer, kept))["state"] == "consent_pending"
    assert await is_cancelled(bank, given_up)


async def test_what_waits_and_what_nobody_withdrew_is_left_alone(shared: Shared, bank: Referring) -> None:
    unconsented, (_, referral) = shared.gateway.referrals.running._unconsented, await waiting(bank)
    before = await entries_of(shared, bank.referrer.id, referral)
    assert not await unconsented.cancel(referral)
    assert not await unconsented.forget(referral)
    assert await entries_of(shared, bank.referrer.id, referral) == before
    assert await words(shared, referral)

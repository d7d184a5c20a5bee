"""A referral from its draft to its end, as both sides' systems live it over HTTP."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from gateway.consents.contacts import Address, Contacts, Holder, Role
from gateway.database import Query
from gateway.database.idempotency import idempotent_answer
from gateway.errors import Invalid, Unavailable
from gateway.referrals.letters import Letters
from gateway.referrals.referral import existing
from gateway.referrals.telling import Tellings, Told
from gateway.senders import Outgoing, Senders
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import DAY_S, HOUR_S, PREVIEW, Referring, act, entries_of, post, referring, see, state, terms

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Noted:
    """Notes who would be told; `broken` as a sender is now and then."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.broken = False

    async def tell(self, told: Told) -> None:
        if self.broken:
            raise Unavailable("sender_unavailable", "The sender cannot send now.")
        self.told.append(told)


async def test_a_customer_is_referred_from_draft_to_settlement(bank: Referring) -> None:
    referral = await bank.offer(1)
    seen = done(await see(bank.hotel, referral))
    assert seen["state"] == "offered"
    assert "subject" not in seen
    done(await act(bank.hotel, referral, "accept", note="Call after six."))
    answer = done(await bank.ask_disclosure(referral))
    assert answer["record"]["fields"] == {"name": "Person 1", "phone": "13800000001"}
    for name, said in (
        ("contact", {}),
        ("update", {}),
        ("qualify", {}),
        ("win", {"value": {"minor": 120_000, "currency": "CNY"}}),
        ("account", {"step": "hold"}),
        ("account", {"step": "release"}),
        ("account", {"step": "settle"}),
        ("claw_back", {"value": {"minor": 20_000, "currency": "CNY"}}),
    ):
        done(await act(bank.hotel, referral, name, **said))
    told = done(await see(bank.referrer, referral))
    assert (told["state"], told["finance"], told["clawed_back_minor"]) == ("won", "clawed_back", 20_000)
    assert told["value"] == {"minor": 120_000, "currency": "CNY"}
    assert "notes" not in told
    assert [one["note"] for one in done(await see(bank.hotel, referral))["notes"]] == ["Call after six."]


async def test_a_draft_waits_for_consent_and_is_registered_when_it_stands(bank: Referring) -> None:
    referral = await bank.draft(2)
    assert done(await act(bank.referrer, referral, "submit")) == {"id": referral, "state": "consent_pending"}
    run = bank.shared.gateway.referrals.running
    await run.run()
    assert await state(bank.referrer, referral) == "consent_pending"
    assert (await see(bank.hotel, referral)).status_code == 404
    bank.shared.clock.pass_seconds(600)
    await bank.consent(2)
    assert (await run.run()).registered == 1
    told = done(await see(bank.referrer, referral))
    assert (told["state"], await state(bank.hotel, referral)) == ("under_review", "offered")
    assert told["registered_at"] > told["drafted_at"], "the place is that of the consent, not of the draft"


async def test_a_withdrawal_ends_it_at_once_and_leaves_neither_term_nor_preview_behind(bank: Referring) -> None:
    referral = await bank.offer(3, contact={"phone": "13800138003"})
    done(await act(bank.hotel, referral, "accept"))
    await bank.withdraw(3)
    assert await state(bank.hotel, referral) == await state(bank.referrer, referral) == "withdrawn"
    assert (await act(bank.hotel, referral, "contact")).json()["code"] == "wrong_state"
    bank.shared.clock.pass_seconds(120)
    await bank.consent(3)
    assert await state(bank.hotel, referral) == "withdrawn", "a later consent is for a later referral"
    ran = await bank.shared.gateway.referrals.running.run()
    assert ran.withdrawn == 1
    assert await terms(bank.shared, referral) == 0
    assert done(await see(bank.referrer, referral))["preview"] == {"city": None, "need": None, "budget": None}
    for log in (bank.referrer.id, bank.hotel.id):
        acts = [one["act"] for one in await entries_of(bank.shared, log, referral)]
        assert acts[-1] == "referral_withdrawn"


async def test_an_offer_that_nobody_answers_is_returned_with_an_entry(bank: Referring) -> None:
    referral = await bank.offer(4)
    due = done(await see(bank.hotel, referral))["due_at"]
    assert due is not None
    bank.shared.clock.pass_seconds(12 * DAY_S)
    assert await state(bank.referrer, referral) == await state(bank.hotel, referral) == "expired"
    assert (await act(bank.hotel, referral, "accept")).json()["code"] == "wrong_state"
    assert (await bank.shared.gateway.referrals.running.run()).returned >= 1
    assert [one["act"] for one in await entries_of(bank.shared, bank.referrer.id, referral)][-1] == "referral_returned"
    again = await bank.offer(4)
    assert await state(bank.hotel, again) == "offered"


async def test_the_deadlines_of_contact_and_status_return_it_too(bank: Referring) -> None:
    late = await bank.offer(5)
    done(await act(bank.hotel, late, "accept"))
    done(await bank.ask_disclosure(late))
    lazy = await bank.disclosed(6)
    done(await act(bank.hotel, lazy, "contact"))
    bank.shared.clock.pass_seconds(14 * DAY_S - HOUR_S)
    assert await state(bank.referrer, late) == "expired"
    done(await act(bank.hotel, lazy, "update"))
    bank.shared.clock.pass_seconds(25 * DAY_S)
    assert await state(bank.referrer, lazy) == "expired"


async def test_the_recipient_asks_and_the_referrer_says_it_in_other_words(bank: Referring) -> None:
    referral = await bank.offer(7)
    done(await act(bank.hotel, referral, "ask", about="need"))
    assert done(await see(bank.referrer, referral))["reason"] == "asks:need"
    assert (await act(bank.hotel, referral, "accept")).json()["code"] == "wrong_state"
    smuggled = await act(bank.referrer, referral, "answer", preview=PREVIEW | {"need": "call 13800138000"})
    assert (smuggled.status_code, smuggled.json()["field"]) == (400, "/preview/need")
    done(await act(bank.referrer, referral, "answer", preview=PREVIEW | {"need": "two rooms"}))
    assert await state(bank.hotel, referral) == "offered"


async def test_a_preview_shows_what_five_persons_share_and_nothing_before(bank: Referring, airline: Referring) -> None:
    preview = {"city": "Chengdu", "need": "a hall", "budget": "9000"}
    shown = []
    for number in range(20, 25):
        referral = await bank.offer(number, preview=preview | {"budget": "9000" if number % 2 else "8000"})
        shown.append(done(await see(bank.hotel, referral))["preview"])
    nothing = {"city": None, "need": None, "budget": None}
    assert shown == [*[nothing] * 4, {"city": "Chengdu", "need": "a hall", "budget": None}]
    others = await airline.offer(20, preview=preview)
    assert done(await see(airline.hotel, others))["preview"] == nothing, "another referrer's persons are not counted"


async def test_what_is_sent_twice_with_one_key_is_done_once(bank: Referring) -> None:
    first, second = [done(await post(bank.referrer, "/v1/referrals", bank.body(8), key="k-8")) for _ in range(2)]
    assert first == second
    other = await post(bank.referrer, "/v1/referrals", bank.body(9), key="k-8")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    again = await bank.ask_draft(8)
    assert (again.status_code, again.json()["code"]) == (409, "referral_stands")
    path = f"/v1/referrals/{first['id']}/acts"
    sent = [done(await post(bank.referrer, path, {"act": "submit"}, key="k-8s")) for _ in range(2)]
    assert sent[0] == sent[1] == {"id": first["id"], "state": "consent_pending"}


async def test_a_subject_longer_than_any_can_be_is_refused_as_such(bank: Referring) -> None:
    for length, code in ((1024, "subject_unknown"), (1025, "invalid_subject")):
        refused = await bank.ask_draft(1, subject="C" * length)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, code, "/subject")


async def test_a_conversion_after_the_agreed_attribution_counts_for_nothing(shared: Shared, airline: Referring) -> None:
    await airline.policy(attribution_days=1, update_days=30)
    referral = await airline.disclosed(9)
    done(await act(airline.hotel, referral, "contact"))
    done(await act(airline.hotel, referral, "qualify"))
    shared.clock.pass_seconds(2 * DAY_S)
    worth = {"minor": 5, "currency": "CNY"}
    assert (await act(airline.hotel, referral, "win", value=worth)).json()["code"] == "attribution_over"
    done(await act(airline.hotel, referral, "lose", reason="not_interested"))
    assert done(await see(airline.referrer, referral))["reason"] == "not_interested"


@pytest.mark.parametrize(("late_by_ms", "answered"), [(-1, 200), (0, 409)])
async def test_a_conversion_counts_until_the_very_millisecond(
    shared: Shared, airline: Referring, late_by_ms: int, answered: int
) -> None:
    await airline.policy(attribution_days=1, update_days=30)
    referral = await airline.disclosed(41 + late_by_ms)
    done(await act(airline.hotel, referral, "contact"))
    done(await act(airline.hotel, referral, "qualify"))
    row = (await existing(shared.gateway.database, referral, shared.clock())).row
    shared.clock.ms = row["attributed_until"] + late_by_ms
    assert (await act(airline.hotel, referral, "win", value={"minor": 5, "currency": "CNY"})).status_code == answered


async def test_no_more_is_clawed_back_than_was_accrued(bank: Referring) -> None:
    referral = await bank.disclosed(10)
    done(await act(bank.hotel, referral, "contact"))
    done(await act(bank.hotel, referral, "qualify"))
    early = await act(bank.hotel, referral, "claw_back", value={"minor": 1, "currency": "CNY"})
    assert early.json()["code"] == "wrong_state"
    done(await act(bank.hotel, referral, "win", value={"minor": 100, "currency": "CNY"}))
    for value in ({"minor": 101, "currency": "CNY"}, {"minor": 1, "currency": "USD"}):
        refused = await act(bank.hotel, referral, "claw_back", value=value)
        assert (refused.status_code, refused.json()["code"]) == (400, "more_than_accrued")


async def test_a_policy_needs_both_words_and_moves_nothing_that_was_registered(shared: Shared, bank: Referring) -> None:
    path = f"/v1/agreements/{bank.deal.agreement}/referral-policy"
    before = await bank.offer(11)
    due = done(await see(bank.hotel, before))["due_at"]
    said = {"rule": "first_registered", "accept_hours": 1, "k": 7}
    proposed = done(await post(shared.bank, path, said))
    assert proposed["policy"]["accept_hours"] == 24
    assert [one["policy"]["k"] for one in proposed["proposed"]] == [7]
    assert done(await post(shared.bank, path, said))["policy"]["k"] == 5, "nobody agrees with itself"
    assert done(await post(shared.hotel, path, said))["policy"]["k"] == 7
    assert (await shared.stranger.get(path, await shared.stranger.token())).status_code == 404
    assert done(await see(bank.hotel, before))["due_at"] == due
    for member in (shared.hotel, shared.bank):
        done(await post(member, path, {"rule": "first_registered"}))
    assert done(await shared.bank.get(path, await shared.bank.token()))["policy"]["k"] == 5


async def test_nothing_is_submitted_offered_or_accepted_after_the_agreement_has_ended(shared: Shared) -> None:
    ending = await referring(shared, shared.bank, [1, 2, 3, 4])
    offered, drafted = await ending.offer(1), await ending.draft(2)
    waiting, registered = await ending.refer(3, consented=False), await ending.refer(4)
    done(await post(shared.bank, f"/v1/agreements/{ending.deal.agreement}/termination", {}))
    for member, referral, name in ((shared.hotel, offered, "accept"), (shared.bank, drafted, "submit")):
        refused = await act(member, referral, name)
        assert (refused.status_code, refused.json()["code"]) == (409, "agreement_not_in_force")
    done(await act(shared.hotel, offered, "decline", reason="other"))
    assert (await ending.ask_draft(2)).status_code == 409
    await ending.consent(3)
    await shared.gateway.referrals.running.run()
    for referral in (waiting, registered):
        assert done(await see(shared.bank, referral))["reason"] == "agreement_ended"
        assert (await see(shared.hotel, referral)).status_code == 404


async def test_the_message_names_both_companies_and_reaches_whom_the_owner_stated(bank: Referring) -> None:
    sent: list[Outgoing] = []

    class Kept:
        async def send(self, message: Outgoing) -> None:
            sent.append(message)

    database, keyring, clock = bank.shared.gateway.database, bank.shared.gateway.keyring, bank.shared.clock
    contacts = Contacts(database, keyring, clock)
    referral = await bank.disclosed(13)
    row = (await existing(database, referral, clock())).row
    holder = Holder(row["owner_id"], row["pseudonym"], Role.OWN)
    for channel, address in (("sms", "13800138013"), ("email", "li@example.com")):
        reached = await contacts.prepare(holder, Address.read(channel, address))
        async with database.transaction() as tx:
            await contacts.keep(tx, reached, clock())
    letters = Letters(database, contacts, Senders({"email": Kept()}))
    told = Told(*holder[:2], row["dataset_id"], bank.hotel.id, row["purpose"], referral, "disclosed", "disclosed", 0)
    await letters.tell(told)
    await letters.tell(told._replace(pseudonym="0" * 64))
    assert [one.address for one in sent] == ["li@example.com"], "no sender for SMS here, and nobody else is reached"
    assert "bank" in sent[0].text
    assert "hotel" in sent[0].text
    assert "Person" not in sent[0].text


async def test_a_customer_is_told_after_the_disclosure_and_at_the_end_each_once(bank: Referring) -> None:
    telling = Noted()
    tellings = Tellings(bank.shared.gateway.database, telling, bank.shared.clock)
    await tellings.run()
    telling.told.clear()
    referral = await bank.disclosed(12)
    done(await bank.ask_disclosure(referral))
    telling.broken = True
    assert await tellings.run() == 0
    telling.broken = False
    assert await tellings.run() == 0, "a sender that failed is left alone for a while"
    bank.shared.clock.pass_seconds(120)
    await tellings.run()
    done(await act(bank.hotel, referral, "contact"))
    done(await act(bank.hotel, referral, "unqualify", reason="outside_area"))
    await tellings.run()
    assert await tellings.run() == 0
    assert [(one.what, one.recipient, one.referral) for one in telling.told] == [
        (what, bank.hotel.id, referral) for what in ("disclosed", "closed")
    ]


async def test_the_words_of_a_preview_are_in_no_kept_answer(bank: Referring) -> None:
    secret = {"city": "Wang Fang", "need": "Wang Fang again", "budget": "500"}
    referral = await bank.draft(43, preview=secret)
    await bank.consent(43)
    done(await act(bank.referrer, referral, "submit"))
    await bank.shared.gateway.referrals.running.run()
    done(await act(bank.hotel, referral, "ask", about="need"))
    done(await act(bank.referrer, referral, "answer", preview=secret))
    kept = await bank.shared.gateway.database.all(Query(select(idempotent_answer.c.answer)))
    answers = [bytes(row["answer"]) for row in kept]
    assert sum(referral.encode() in one for one in answers) == 4
    assert [one for one in answers if b"Wang" in one] == []


async def test_a_customer_is_told_once_by_however_many_processes(bank: Referring) -> None:
    telling = Noted()
    tellings = [Tellings(bank.shared.gateway.database, telling, bank.shared.clock) for _ in range(2)]
    await tellings[0].run()
    telling.told.clear()
    referral = await bank.disclosed(40)
    await asyncio.gather(*(one.run() for one in tellings))
    assert [one.referral for one in telling.told] == [referral]


async def test_a_customer_that_cannot_be_told_keeps_no_other_one_waiting(bank: Referring) -> None:
    class Broken(Noted):
        async def tell(self, told: Told) -> None:
            if told.referral == first:
                raise Invalid("unknown_country", "No such number can be called.")
            await super().tell(told)

    telling = Broken()
    first, second = [await bank.offer(number) for number in (41, 42)]
    for referral in (first, second):
        done(await act(bank.hotel, referral, "accept"))
        done(await bank.ask_disclosure(referral))
        bank.shared.clock.pass_seconds(1)
    await Tellings(bank.shared.gateway.database, telling, bank.shared.clock).run()
    assert [one.referral for one in telling.told] == [second]

"""What a member could try with referrals: to learn who is whose customer, to smuggle, to act for others, to replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from gateway.agreements import HoldSubject
from gateway.consents.contacts import Address, Contacts
from gateway.consents.contacts.contacts import Holder, Role
from gateway.database import Query
from gateway.database.sqlite import SQLiteDatabase
from gateway.referrals.referral import existing
from gateway.referrals.states import State
from gateway.referrals.tables import referral, referral_note, referral_term
from tests.access.api import NO_SUCH
from tests.access.world import Shared, shared_on
from tests.confiding import done
from tests.referrals.world import DAY_S, PREVIEW, Referring, act, ask_dispute, entries_of, post, referring, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
WORTH = {"minor": 100, "currency": "CNY"}
EVERY_ACT: dict[str, dict[str, Any]] = {
    "submit": {},
    "answer": {"preview": PREVIEW},
    "cancel": {},
    "accept": {},
    "decline": {"reason": "other"},
    "ask": {"about": "need"},
    "contact": {},
    "update": {},
    "qualify": {},
    "unqualify": {"reason": "other"},
    "win": {"value": WORTH},
    "lose": {"reason": "other"},
    "account": {"step": "hold"},
    "claw_back": {"value": WORTH},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    async with shared_on(request, tmp_path_factory.mktemp("referrals"), "sqlite") as alliance:
        yield alliance


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(shared: Shared) -> Referring:
    return await referring(shared, shared.bank, range(1, 60))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def airline(shared: Shared) -> Referring:
    return await referring(shared, shared.stranger, range(1, 60))


def somebody() -> tuple[int, dict[str, str]]:
    """The number of another person, and how it is reached."""
    number = next(_numbers)
    return number, {"phone": f"139{number:08}"}


@contextmanager
def statements(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that the database is asked, in order."""
    asked: list[str] = []
    original = vars(Query)["sqlite"].func

    def noted(query: Query) -> Any:
        text = original(query)
        return _Noted(text, asked)

    assert isinstance(shared.gateway.database, SQLiteDatabase)
    with monkeypatch.context() as patched:
        patched.setattr(Query, "sqlite", property(noted))
        yield asked


class _Noted:
    """A statement's text that notes when it is run."""

    def __init__(self, text: Any, asked: list[str]) -> None:
        self._text, self._asked = text, asked

    @property
    def sql(self) -> str:
        self._asked.append(self._text.sql)
        return str(self._text.sql)

    @property
    def arguments(self) -> Any:
        return self._text.arguments


async def known_to_hotel(shared: Shared, phone: str) -> None:
    """The hotel has stated this number of a customer of its own."""
    contacts = Contacts(shared.gateway.database, shared.gateway.keyring, shared.clock)
    reached = await contacts.prepare(Holder(shared.hotel.id, "f" * 64, Role.OWN), Address.read("sms", phone))
    async with shared.gateway.database.transaction() as tx:
        await contacts.keep(tx, reached, shared.clock())


def shape(answer: httpx.Response) -> tuple[int, list[str], dict[str, Any]]:
    """An answer without what differs between any two: ids and nonces."""
    hidden = {"id": "", "date": "", "dpop-nonce": ""}
    said = {name: hidden.get(name, value) for name, value in answer.json().items()}
    return answer.status_code, sorted(answer.headers), said


async def test_existence_oracle_a_referrer_is_answered_alike_whoever_the_person_is(
    shared: Shared, bank: Referring, airline: Referring
) -> None:
    """Nobody's, the hotel's own customer, and one that was referred before: alike until the offer would have ended."""
    (nobody, free), (customer, own), (before, taken) = somebody(), somebody(), somebody()
    await known_to_hotel(shared, own["phone"])
    await bank.offer(before, contact=taken)
    answers, referrals = [], []
    for number, contact in ((nobody, free), (customer, own), (before, taken)):
        await airline.consent(number)
        drafted = await airline.ask_draft(number, contact=contact)
        referrals.append(done(drafted)["id"])
        answers.append([shape(drafted), shape(await act(airline.referrer, referrals[-1], "submit"))])
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1][2] == {"id": "", "state": "under_review"}

    async def told() -> list[list[Any]]:
        seen = [await see(airline.referrer, one) for one in referrals]
        logs = [await entries_of(shared, airline.referrer.id, one) for one in referrals]
        acts = [[one["act"] for one in log] for log in logs]
        return [[shape(one), log] for one, log in zip(seen, acts, strict=True)]

    await shared.gateway.referrals.running.run()
    stored = [(await existing(shared.gateway.database, one, shared.clock())).stored for one in referrals]
    assert stored == [State.OFFERED, State.DUPLICATE, State.DUPLICATE], "they do differ, and nobody is told"
    first, second, third = await told()
    assert first == second == third
    shared.clock.pass_seconds(12 * DAY_S)
    await shared.gateway.referrals.running.run()
    first, second, third = await told()
    assert first == second == third
    assert first[0][2]["state"] == "expired"


async def test_existence_oracle_the_same_work_is_done_whoever_the_person_is(
    shared: Shared, bank: Referring, airline: Referring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements that a draft, a submission and a look ask are the very same: so is the time that they take."""
    (nobody, free), (customer, own), (before, taken) = somebody(), somebody(), somebody()
    await known_to_hotel(shared, own["phone"])
    await bank.offer(before, contact=taken)
    work = []
    for number, contact in ((nobody, free), (customer, own), (before, taken)):
        await airline.consent(number)
        with statements(shared, monkeypatch) as asked:
            made = await airline.draft(number, contact=contact)
            done(await act(airline.referrer, made, "submit"))
            done(await see(airline.referrer, made))
        work.append(asked)
        assert len(asked) > 20
        await shared.gateway.referrals.running.run()
    assert work[0] == work[1] == work[2]


async def test_existence_oracle_cancelling_and_acting_on_what_was_set_aside_tell_nothing(
    bank: Referring, airline: Referring
) -> None:
    (nobody, free), (before, taken) = somebody(), somebody()
    await bank.offer(before, contact=taken)
    offered, aside = await airline.offer(nobody, contact=free), await airline.offer(before, contact=taken)
    for name, said in EVERY_ACT.items():
        if name == "cancel":
            continue
        first, second = [await act(airline.referrer, one, name, **said) for one in (offered, aside)]
        assert shape(first) == shape(second), name
    await airline.withdraw(nobody)
    await airline.withdraw(before)
    assert await state(airline.referrer, offered) == await state(airline.referrer, aside) == "withdrawn"
    (somebody_else, other), again = somebody(), somebody()
    await bank.offer(again[0], contact=again[1])
    for number, contact in ((somebody_else, other), again):
        referral_id = await airline.offer(number, contact=contact)
        assert done(await act(airline.referrer, referral_id, "cancel"))["state"] == "cancelled"


async def test_an_identifier_is_neither_smuggled_in_a_preview_nor_told_back(bank: Referring) -> None:
    number, _ = somebody()
    for preview in (
        PREVIEW | {"need": "ask 13800138000"},
        PREVIEW | {"city": "13800", "need": "138000"},
        PREVIEW | {"budget": "wang@example.com"},
    ):
        answer = await bank.ask_draft(number, preview=preview)
        assert (answer.status_code, answer.json()["code"]) == (400, "preview_identifying")
        assert not any(value in answer.text for value in ("13800", "138000", "wang"))
    await bank.policy(k=2)
    name = await bank.offer(number, preview=PREVIEW | {"city": "Wang Fang", "need": "Wang Fang"})
    assert done(await see(bank.hotel, name))["preview"] == {"city": None, "need": None, "budget": None}
    assert (await act(bank.hotel, name, "accept")).status_code == 200
    assert "Wang" not in (await see(bank.hotel, name)).text
    await bank.policy()


async def test_nothing_of_the_person_or_its_contact_stands_in_rows_and_entries(shared: Shared, bank: Referring) -> None:
    number, contact = somebody()
    made = await bank.disclosed(number, contact=contact | {"email": "li.na@example.com"})
    done(await act(bank.hotel, made, "contact", note="Li Na is nice."))
    kept = []
    for table in (referral, referral_term, referral_note):
        rows = await shared.gateway.database.all(Query(select(table)))
        kept += [str(tuple(row[column.name] for column in table.c)) for row in rows]
    for log in (bank.referrer.id, bank.hotel.id, shared.alliance.id):
        kept += [json.dumps(one) for one in await entries_of(shared, log, made)]
    assert len(kept) > 5
    for clue in (f"C{number:05}", f"Person {number}", contact["phone"], "li.na", "Li Na", PREVIEW["need"]):
        assert not [one for one in kept if clue in one], clue


async def test_nobody_acts_for_another_side_or_member(shared: Shared, bank: Referring) -> None:
    third = await shared.alliance.join(f"third-{next(_numbers)}")
    number, _ = somebody()
    made = await bank.offer(number)
    unknown = await see(third, NO_SUCH)
    for name, said in EVERY_ACT.items():
        theirs = [await act(third, one, name, **said) for one in (made, NO_SUCH)]
        assert [one.status_code for one in theirs] == [404, 404], name
        assert theirs[0].content == theirs[1].content
        wrong = bank.hotel if name in ("submit", "answer", "cancel") else bank.referrer
        refused = await act(wrong, made, name, **said)
        assert (refused.status_code, refused.json()["code"]) == (403, "OTHER_SIDE_ONLY"), name
    found = await see(third, made)
    assert (found.status_code, found.content) == (404, unknown.content)
    assert done(await third.get("/v1/referrals", await third.token()))["items"] == []
    for member, code in ((third, 404), (bank.referrer, 403)):
        asked = await post(member, f"/v1/referrals/{made}/disclosure", {})
        assert asked.status_code == code
    assert await state(bank.hotel, made) == "offered"


async def test_a_draft_is_nobodys_but_its_owners_and_refers_only_own_customers(shared: Shared, bank: Referring) -> None:
    number, _ = somebody()
    made = await bank.draft(number)
    assert (await see(bank.hotel, made)).status_code == 404
    assert (await act(bank.hotel, made, "accept")).status_code == 404
    for member in (shared.hotel, shared.stranger):
        assert (await post(member, "/v1/referrals", bank.body(number))).status_code == 404
    unknown = await bank.ask_draft(9999)
    assert (unknown.status_code, unknown.json()["code"]) == (400, "subject_unknown")
    without = await bank.referrer.token({"type": "alliance_member", "actions": ["consent"]})
    refused = await bank.referrer.post("/v1/referrals", without, bank.body(number))
    assert (refused.status_code, refused.json()["code"]) == (403, "ACTION_NOT_GRANTED")


async def test_a_disclosure_replayed_after_the_withdrawal_yields_nothing(shared: Shared, bank: Referring) -> None:
    number, _ = somebody()
    made = await bank.disclosed(number)
    token = await bank.reading()
    first = await bank.hotel.post(f"/v1/referrals/{made}/disclosure", token, {})
    assert f"Person {number}" in first.text, "before the first contact an answer that was lost is given again"
    await bank.withdraw(number)
    for _ in range(2):
        replayed = await bank.hotel.post(f"/v1/referrals/{made}/disclosure", token, {})
        assert (replayed.status_code, replayed.json()["code"]) == (403, "CONSENT_REQUIRED")
        assert f"Person {number}" not in replayed.text
    permits = [one for one in await shared.accesses() if one["effect"] == "permit"]
    assert len([one for one in permits if one["event_id"] == first.json()["event_id"]]) == 1
    assert permits[-1]["event_id"] == first.json()["event_id"], "no permit follows the withdrawal"


async def test_a_disclosure_needs_the_acceptance_and_a_token_to_read(bank: Referring) -> None:
    number, _ = somebody()
    made = await bank.offer(number)
    accesses = len(await bank.shared.accesses())
    early = await bank.ask_disclosure(made)
    assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
    assert len(await bank.shared.accesses()) == accesses, "nothing is opened that is not answered"
    done(await act(bank.hotel, made, "accept"))
    without = await post(bank.hotel, f"/v1/referrals/{made}/disclosure", {})
    assert without.status_code == 403
    assert f"Person {number}" not in without.text
    assert await state(bank.hotel, made) == "accepted"


async def test_a_party_to_another_agreement_freezes_no_line_of_others(shared: Shared, bank: Referring) -> None:
    number, _ = somebody()
    made = await bank.offer(number)
    strangers = await referring(shared, shared.stranger, [1])
    for member in (shared.stranger, shared.hotel):
        refused = await ask_dispute(member, strangers.deal.agreement, made)
        assert (refused.status_code, refused.json()["code"]) == (400, "subject_not_disputable")
    place, theirs = shared.gateway.holds.place, shared.stranger.id
    await place(shared.alliance.id, HoldSubject.REFERRAL, made, case="r-1", operator="test", owner=theirs)
    assert done(await see(bank.hotel, made))["case"] is None, "a hold counts for the owner whose referral it is"
    assert done(await see(bank.hotel, made))["due_at"] is not None
    done(await act(bank.hotel, made, "accept"))

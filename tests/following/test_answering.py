from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.consents.following import settling
from gateway.consents.following.settling import FollowUpRun
from gateway.consents.following.states import Deadlines
from gateway.consents.following.views import BY_ID
from gateway.consents.states import Event
from gateway.ledger.errors import LedgerRolledBack
from tests import notices
from tests.access.world import second_process
from tests.alliance import instant
from tests.following.world import DAY_S, Followed
from tests.rolled_back import RolledBackAtFirst

pytestmark = pytest.mark.asyncio(loop_scope="module")
DELETED = {"how": "deleted", "proof": {"text": "Deleted by job 4711."}}


async def ended(followed: Followed, number: int) -> tuple[str, str]:
    """A consent that ended and its one follow-up."""
    deal = await followed.received(number)
    consent = await followed.withdraw(deal, number)
    [row] = await followed.of_consent(consent)
    return consent, row["id"]


async def test_it_is_acknowledged_complied_with_and_verified_each_on_record(followed: Followed) -> None:
    bank, hotel = followed.shared.bank, followed.shared.hotel
    consent, follow_up = await ended(followed, 21)
    acknowledged = await followed.answer(hotel, follow_up, "acknowledgement")
    assert (acknowledged.status_code, acknowledged.json()["state"]) == (200, "acknowledged")
    assert (await followed.answer(bank, follow_up, "verification")).status_code == 409
    complied = await followed.answer(hotel, follow_up, "compliance", DELETED)
    assert (complied.json()["state"], complied.json()["how"]) == ("complied", "deleted")
    digest = hashlib.sha256(DELETED["proof"]["text"].encode()).hexdigest()  # type: ignore[index]
    assert complied.json()["proof"] == {"sha256": digest, "text": "Deleted by job 4711."}
    verified = await followed.answer(bank, follow_up, "verification")
    assert (verified.status_code, verified.json()["state"]) == (200, "verified")
    acts = [f"withdrawal_{act}" for act in ("acknowledged", "complied", "verified")]
    entries = [one for one in await followed.entries(*acts) if one["follow_up"] == follow_up]
    assert [one["act"] for one in entries] == acts
    assert entries[1]["proof_sha256"] == digest
    assert "job 4711" not in str(entries)
    assert [one["state"] for one in await followed.of_consent(consent)] == ["verified"]


async def test_who_is_named_by_a_second_acknowledgement_is_on_record(followed: Followed) -> None:
    consent, follow_up = await ended(followed, 34)
    laundry = {"name": "Laundry Ltd"}
    for onward in ([], [laundry], [laundry]):
        answer = await followed.answer(followed.shared.hotel, follow_up, "acknowledgement", {"onward": onward})
        assert answer.status_code == 200, answer.text
    entries = [one for one in await followed.entries("withdrawal_acknowledged") if one["follow_up"] == follow_up]
    [named] = [one["id"] for one in await followed.of_consent(consent) if one["named_in"]]
    assert [one["onward"] for one in entries] == [[], [named]]


async def test_the_same_answer_again_changes_nothing_and_another_one_is_refused(followed: Followed) -> None:
    hotel = followed.shared.hotel
    _, follow_up = await ended(followed, 22)
    first = await followed.answer(hotel, follow_up, "compliance", DELETED)
    entries = len(await followed.shared.entries(followed.shared.bank.id))
    again = await followed.answer(hotel, follow_up, "compliance", DELETED)
    late = await followed.answer(hotel, follow_up, "acknowledgement")
    assert (again.json(), late.json()) == (first.json(), first.json())
    other = await followed.answer(hotel, follow_up, "compliance", {"how": "never_received"})
    assert other.status_code == 409
    assert len(await followed.shared.entries(followed.shared.bank.id)) == entries


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/how"),
        ({"how": "forgotten"}, "/how"),
        ({"how": "corrected", "proof": {"text": "x"}}, "/how"),  # nothing was corrected
        ({"how": "deleted"}, "/proof"),
        ({"how": "deleted", "proof": {"sha256": "0" * 63}}, "/proof"),
        ({"how": "deleted", "proof": {"text": "x", "sha256": "0" * 64}}, "/proof"),
        ({"how": "deleted", "proof": {"text": " "}}, "/proof/text"),
        ({"how": "retained"}, "/legal"),
        ({"how": "never_received", "legal": "Art. 1"}, "/legal"),
        ({"how": "never_received", "onward": {}}, "/onward"),
        ({"how": "never_received", "onward": 7}, "/onward"),
        ({"how": "never_received", "onward": [{"member": "hotel"}]}, "/onward/0"),
        ({"how": "never_received", "onward": [{"name": "x", "member": "0" * 32}]}, "/onward/0"),
        ({"how": "never_received", "onward": [{"name": "x"}] * 51}, "/onward"),
        ({"how": "never_received", "onward": [{"member": "0" * 32}]}, "/onward/0"),
        ({"how": "never_received", "comment": "x"}, "/comment"),
    ],
)
async def test_an_answer_without_what_it_needs_is_refused_and_changes_nothing(
    open_one: str, followed: Followed, body: dict[str, Any], field: str
) -> None:
    answer = await followed.answer(followed.shared.hotel, open_one, "compliance", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    shown = await followed.shared.hotel.get(f"/v1/withdrawals/{open_one}", await followed.shared.hotel.token())
    assert shown.json()["state"] in {"queued", "sent", "failed", "delivered"}


async def test_what_the_law_keeps_is_kept_by_naming_the_law(followed: Followed) -> None:
    _, follow_up = await ended(followed, 23)
    legal = "Accounting Law Art. 23"
    answer = await followed.answer(followed.shared.hotel, follow_up, "compliance", {"how": "retained", "legal": legal})
    assert (answer.status_code, answer.json()["legal"]) == (200, legal)
    [entry] = [one for one in await followed.entries("withdrawal_complied") if one["follow_up"] == follow_up]
    assert entry["legal_sha256"] == hashlib.sha256(legal.encode()).hexdigest()
    assert legal not in str(entry)


async def test_nobody_else_answers_or_verifies_and_to_everybody_else_there_is_nothing(followed: Followed) -> None:
    bank, hotel, stranger = (followed.shared.alliance.members[name] for name in ("bank", "hotel", "stranger"))
    consent, follow_up = await ended(followed, 24)
    nothing = await followed.answer(stranger, "0" * 32, "compliance", DELETED)
    for member, what in (
        (stranger, "compliance"),
        (bank, "compliance"),
        (stranger, "verification"),
        (hotel, "verification"),
    ):
        answer = await followed.answer(member, follow_up, what, DELETED if what == "compliance" else {})
        assert (answer.status_code, answer.json()) == (404, nothing.json()), (member.name, what)
    unknown = await followed.answer(bank, "0" * 32, "verification")
    assert (unknown.status_code, unknown.json()) == (404, nothing.json())
    assert await followed.owed(stranger) == []
    assert await followed.owed(hotel, role="owner", consent=consent) == []


async def test_whom_a_recipient_names_is_followed_too_and_may_name_more(followed: Followed) -> None:
    hotel, stranger = followed.shared.hotel, followed.shared.stranger
    deal = await followed.received(25)
    consent = await followed.withdraw(deal, 25)
    follow_up = (await followed.of_consent(consent))[0]["id"]
    named = {"onward": [{"member": stranger.id}, {"name": "Laundry Ltd"}, {"name": "Laundry Ltd"}]}
    assert (await followed.answer(hotel, follow_up, "acknowledgement", named)).status_code == 200
    rows = {(row["recipient"], row["holder"]): row for row in await followed.of_consent(consent)}
    assert rows.keys() == {(hotel.id, ""), (stranger.id, ""), (hotel.id, "Laundry Ltd")}
    onward = rows[stranger.id, ""]
    assert onward["named_in"] == follow_up
    assert onward["records"] == rows[hotel.id, ""]["records"]
    back = {"onward": [{"member": hotel.id}]}
    assert (await followed.answer(stranger, onward["id"], "acknowledgement", back)).status_code == 200
    assert len(await followed.of_consent(consent)) == 3  # a circle ends
    [progress] = await followed.progress(deal, 25)
    assert {(one.recipient, one.holder) for one in progress.onward} == rows.keys() - {(hotel.id, "")}


@pytest.mark.parametrize(
    ("number", "what", "body"), [(32, "compliance", DELETED), (33, "acknowledgement", dict[str, Any]())]
)
async def test_whom_a_recipient_names_once_it_has_complied_is_refused_and_nobody_named_is_lost(
    followed: Followed, number: int, what: str, body: dict[str, Any]
) -> None:
    hotel, stranger = followed.shared.hotel, followed.shared.stranger
    consent, follow_up = await ended(followed, number)
    named = {"onward": [{"name": "Laundry Ltd"}]}
    assert (await followed.answer(hotel, follow_up, "compliance", DELETED | named)).status_code == 200
    assert (await followed.answer(hotel, follow_up, what, body | named)).status_code == 200, "the same again"
    more = {"onward": [{"name": "Laundry Ltd"}, {"member": stranger.id}]}
    refused = await followed.answer(hotel, follow_up, what, body | more)
    assert (refused.status_code, refused.json()["field"]) == (409, "/onward")
    assert [one["holder"] for one in await followed.of_consent(consent) if one["named_in"]] == ["Laundry Ltd"]


async def test_neither_the_owner_nor_who_answers_nor_another_alliances_can_be_named_as_an_onward_recipient(
    followed: Followed,
) -> None:
    _, follow_up = await ended(followed, 26)
    rival = await followed.shared.alliance.neighbour()
    for member in (followed.shared.bank, followed.shared.hotel, rival):
        named = {"onward": [{"member": member.id}]}
        answer = await followed.answer(followed.shared.hotel, follow_up, "acknowledgement", named)
        assert (answer.status_code, answer.json()["field"]) == (400, "/onward/0")


async def test_who_may_not_be_called_any_more_has_nothing_deleted(followed: Followed) -> None:
    bank, hotel, gateway = followed.shared.bank, followed.shared.hotel, followed.shared.gateway
    deal = await followed.received(31)
    asked = notices.item(notices.party(hotel.id, hotel.uscc), "customer_referral", channels=["sms"])
    document = notices.notice(notices.party(bank.id, bank.uscc), [asked])
    notice = await bank.publish(deal.dataset, "calls", document)
    given = {"subject": "C00031", "recipient": hotel.id, "purpose": "customer_referral", "channels": ["sms"]}
    given |= {"given_at": instant(datetime.fromtimestamp(bank.now - 60, UTC)), "evidence_sha256": "ab" * 32}
    answer = await bank.post(
        f"/v1/datasets/{deal.dataset}/consents", await bank.token(), [given | {"notice_sha256": notice}]
    )
    contact = answer.json()["consents"][0]["id"]
    async with gateway.ledger.changing(bank.id, narrows={bank.id}) as change:
        await gateway.consents.records.act(change, contact, Event.WITHDRAW, actor={"customer": "page"})
    queued = await followed.entries("withdrawal_queued")
    assert [one for one in queued if one["dataset"] == deal.dataset] == []
    assert len(await followed.read(deal)) == 1


async def test_a_suspended_member_still_owes_it(followed: Followed) -> None:
    gateway, hotel = followed.shared.gateway, followed.shared.hotel
    _, follow_up = await ended(followed, 27)
    await gateway.members.suspend(hotel.id, case="test", operator="test")
    token = await hotel.token({"type": "alliance_member", "actions": ["withdraw"]})
    answer = await hotel.post(f"/v1/withdrawals/{follow_up}/compliance", token, DELETED)
    assert answer.status_code == 200, answer.text
    await followed.shared.alliance.readmit(hotel.id, case="test")


async def test_reminders_come_together_at_half_and_four_fifths_and_at_the_end(followed: Followed) -> None:
    await followed.tell()
    await clear(followed)
    deal = await followed.received(28, 29)
    for number in (28, 29):
        await followed.withdraw(deal, number)
    await followed.tell()
    followed.inbox.received.clear()
    counts: list[int] = []
    for _ in range(4):
        followed.shared.clock.pass_seconds(DAY_S)
        await followed.settle()
        await followed.settle()
        await followed.tell()
        counts += [one["data"]["count"] for one in followed.inbox.said() if one["type"] == "consent.reminder"]
        followed.inbox.received.clear()
    assert counts == [2, 2]  # 80 and 95 per cent fall into one day


async def test_who_has_answered_by_the_time_a_reminder_is_written_is_not_reminded(followed: Followed) -> None:
    await clear(followed)
    hotel, gateway = followed.shared.hotel, followed.shared.gateway
    deal = await followed.received(35, 36)
    consents = [await followed.withdraw(deal, number) for number in (35, 36)]
    rows = [await gateway.database.one(BY_ID, id=(await followed.of_consent(one))[0]["id"]) for one in consents]
    seen = [row for row in rows if row is not None]
    followed.shared.clock.pass_seconds((seen[0]["comply_by"] - followed.shared.clock()) // 1000)
    assert (await followed.answer(hotel, seen[0]["id"], "compliance", DELETED)).status_code == 200
    remind = gateway.following.settling._remind
    assert [await remind(seen), await remind(seen)] == [True, False]
    await followed.tell()
    [reminder] = [one["data"] for one in followed.inbox.said() if one["type"] == "consent.reminder"]
    assert [one["id"] for one in reminder["withdrawals"]] == [seen[1]["id"]]


async def test_a_log_that_cannot_be_written_keeps_no_other_follow_up_waiting(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clear(followed)
    run, deal = followed.shared.gateway.following.settling, await followed.received(37, 38)
    consents = [await followed.withdraw(deal, number) for number in (37, 38)]
    followed.shared.clock.pass_seconds(8 * DAY_S)
    with monkeypatch.context() as broken:
        broken.setattr(run, "_ledger", RolledBackAtFirst(run._ledger))
        with pytest.raises(LedgerRolledBack):
            await run.run()
    cases = [(await followed.of_consent(one))[0]["case"] for one in consents]
    assert cases.count(None) == 1
    assert (await run.run()).overdue == 1
    await clear(followed)


async def test_a_reminder_that_cannot_be_written_keeps_no_other_one_waiting(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clear(followed)
    run, deal = followed.shared.gateway.following.settling, await followed.received(39, 40)
    consents = [await followed.withdraw(deal, number) for number in (39, 40)]
    seen = await followed.shared.gateway.database.one(BY_ID, id=(await followed.of_consent(consents[0]))[0]["id"])
    assert seen is not None
    followed.shared.clock.pass_seconds((seen["comply_by"] - followed.shared.clock()) * 6 // 10_000)
    with monkeypatch.context() as broken:
        broken.setattr(settling, "_by_recipient", lambda rows: [[row] for row in rows])
        broken.setattr(run, "_ledger", RolledBackAtFirst(run._ledger))
        with pytest.raises(LedgerRolledBack):
            await run.run()
    assert (await run.run()).reminders == 1, "one message of one was left"
    await followed.tell()
    assert [one["data"]["count"] for one in followed.inbox.said() if one["type"] == "consent.reminder"] == [1, 1]


async def clear(followed: Followed) -> None:
    """Comply with everything that is open."""
    for one in await followed.owed(followed.shared.hotel, limit="100"):
        await followed.answer(followed.shared.hotel, one["id"], "compliance", DELETED)


async def test_two_processes_open_one_candidate(followed: Followed) -> None:
    _, follow_up = await ended(followed, 30)
    followed.shared.clock.pass_seconds(9 * DAY_S)
    async with second_process(followed.shared) as second:
        other = FollowUpRun(second.database, second.ledger, followed.shared.clock, Deadlines())
        await asyncio.gather(other.run(), followed.settle())
    opened = [one for one in await followed.entries("case_opened") if one["actor"] == {"follow_up": follow_up}]
    assert [(one["clause"], one["case_kind"]) for one in opened] == [("9.1.2", "breach")]

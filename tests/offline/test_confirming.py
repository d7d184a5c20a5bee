from __future__ import annotations

import httpx
import pytest

from gateway.consents.asking import Choice, Decision
from gateway.consents.states import Event
from gateway.errors import Conflicting
from tests.consents.asking.world import BROWSER, Box
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.fixture
def box(desk: Desk) -> Box:
    """Where every message lands."""
    made = Box()
    desk.shared.gateway.asking._senders._by_channel = {"sms": made, "email": made}
    return made


async def invite(desk: Desk, batch: str, number: int, address: str) -> httpx.Response:
    bank = desk.shared.bank
    body = {"subject": f"C{number:05}", "channel": "email", "address": address}
    return await bank.post(f"/v1/offline-consents/{batch}/invitations", await bank.token(), body)


async def invited(desk: Desk, batch: str, number: int, address: str) -> dict[str, object]:
    answer = await invite(desk, batch, number, address)
    assert answer.status_code == 201, answer.text
    told: dict[str, object] = answer.json()
    return told


async def test_a_person_confirms_paper_by_a_link_and_a_code_and_not_by_looking(desk: Desk, box: Box) -> None:
    batch = await desk.imported(desk.row(51), desk.row(52))
    told = await invited(desk, batch, 51, "one@example.com")
    asking = desk.shared.gateway.asking
    visit = (await asking.open(box.link("one@example.com"), BROWSER)).visit
    assert (await desk.states(51), await desk.read()) == (["imported"], set())
    desk.shared.clock.pass_seconds(61)
    await asking.send_code(visit)
    (record,) = [one.id for one in await asking.about(visit)]
    assert told["consents"] == [record]
    await asking.confirm(visit, box.code("one@example.com"), {record: Decision(Choice.GIVE)})
    assert (await desk.states(51), await desk.states(52)) == (["given"], ["imported"])
    assert await desk.read() == {"Person 51"}


async def test_a_person_cannot_confirm_paper_of_a_batch_that_was_invalidated(desk: Desk, box: Box) -> None:
    batch = await desk.imported(desk.row(55))
    await invited(desk, batch, 55, "five@example.com")
    asking, bank = desk.shared.gateway.asking, desk.shared.bank
    visit = (await asking.open(box.link("five@example.com"), BROWSER)).visit
    desk.shared.clock.pass_seconds(61)
    await asking.send_code(visit)
    (record,) = [one.id for one in await asking.about(visit)]
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    with pytest.raises(Conflicting, match="invalidated"):
        await asking.confirm(visit, box.code("five@example.com"), {record: Decision(Choice.GIVE)})
    assert "Person 55" not in await desk.read()
    await desk.offline.settling.run()
    assert await desk.states(55) == ["invalidated"]


async def test_a_person_refuses_paper_without_a_code_and_no_sample_gives_it(desk: Desk, box: Box) -> None:
    batch = await desk.imported(desk.row(53))
    await invited(desk, batch, 53, "three@example.com")
    asking = desk.shared.gateway.asking
    visit = (await asking.open(box.link("three@example.com"), BROWSER)).visit
    await asking.refuse_all(visit)
    assert await desk.states(53) == ["refused"]
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.accept(batch)
    assert await desk.states(53) == ["refused"]


async def test_only_the_owner_asks_and_only_about_whom_its_batch_names(desk: Desk, box: Box) -> None:
    batch = await desk.imported(desk.row(54))
    path = f"/v1/offline-consents/{batch}/invitations"
    body = {"subject": "C00054", "channel": "email", "address": "four@example.com"}
    for who, said in (
        (desk.shared.stranger, body),
        (desk.shared.hotel, body),
        (desk.shared.bank, body | {"subject": "C00059"}),
    ):
        answer = await who.post(path, await who.token(), said)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    bank = desk.shared.bank
    bad = await bank.post(path, await bank.token(), body | {"address": "nowhere"})
    assert (bad.status_code, bad.json()["field"]) == (400, "/address")
    assert box.messages == []


async def test_nobody_is_asked_about_paper_of_a_batch_that_was_invalidated(desk: Desk, box: Box) -> None:
    batch, bank = await desk.imported(desk.row(45)), desk.shared.bank
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    body = {"subject": "C00045", "channel": "email", "address": "seven@example.com"}
    answer = await bank.post(f"/v1/offline-consents/{batch}/invitations", await bank.token(), body)
    assert answer.status_code == 409, answer.text
    assert box.messages == []


async def test_nobody_is_asked_about_paper_that_was_withdrawn_meanwhile(desk: Desk, box: Box) -> None:
    batch, bank = await desk.imported(desk.row(46)), desk.shared.bank
    await bank.withdraw(desk.deal.dataset, "C00046")
    assert await desk.states(46) != ["imported"]
    body = {"subject": "C00046", "channel": "email", "address": "eight@example.com"}
    answer = await bank.post(f"/v1/offline-consents/{batch}/invitations", await bank.token(), body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert box.messages == []


async def test_who_refused_one_paper_is_not_asked_by_another_one(desk: Desk, box: Box) -> None:
    first, second = (
        await desk.imported(desk.row(48, ago=900)),
        await desk.imported(desk.row(48, evidence="scans/b.pdf")),
    )
    await invited(desk, first, 48, "nine@example.com")
    asking = desk.shared.gateway.asking
    await asking.refuse_all((await asking.open(box.link("nine@example.com"), BROWSER)).visit)
    desk.shared.clock.pass_seconds(61)
    sent = len(box.messages)
    answer = await invite(desk, second, 48, "nine@example.com")
    assert (answer.status_code, answer.json()["code"], len(box.messages)) == (409, "cooling_down", sent)
    assert sorted(await desk.states(48)) == ["imported", "refused"]


async def test_who_is_being_asked_is_not_asked_by_another_paper_too(desk: Desk, box: Box) -> None:
    first, second = (
        await desk.imported(desk.row(49, ago=900)),
        await desk.imported(desk.row(49, evidence="scans/b.pdf")),
    )
    await invited(desk, first, 49, "ten@example.com")
    desk.shared.clock.pass_seconds(61)
    sent = len(box.messages)
    answer = await invite(desk, second, 49, "ten@example.com")
    assert (answer.status_code, answer.json()["code"], len(box.messages)) == (409, "asked_already", sent)


async def test_who_is_being_asked_online_is_not_asked_by_paper_too(desk: Desk, box: Box) -> None:
    bank = desk.shared.bank
    item = {"recipient": desk.shared.hotel.id, "purpose": "customer_referral", "fields": ["name", "phone"]}
    asked = {"subject": "C00132", "notice_sha256": desk.notice, "language": "en", "items": [item]}
    asked |= {"channel": "email", "address": "fourteen@example.com"}
    path = f"/v1/datasets/{desk.deal.dataset}/consent-requests"
    assert (await bank.post(path, await bank.token(), asked)).status_code == 201
    desk.shared.clock.pass_seconds(61)
    answer = await invite(desk, await desk.imported(desk.row(132)), 132, "fourteen@example.com")
    assert (answer.status_code, answer.json()["code"]) == (409, "asked_already")


async def test_a_batch_asks_a_person_once_and_another_one_asks_when_that_has_lapsed(desk: Desk, box: Box) -> None:
    rows = desk.row(133, ago=900), desk.row(133, evidence="scans/b.pdf")
    first, second = [await desk.imported(row) for row in rows]
    await invited(desk, first, 133, "fifteen@example.com")
    desk.shared.clock.pass_seconds(61)
    again = (await invite(desk, first, 133, "fifteen@example.com")).json()
    assert (again["code"], again["remedy"]) == ("asked_already", "Wait for the answer, or until it lapses.")
    desk.shared.clock.pass_seconds(72 * 3600)
    await desk.shared.gateway.asking.inviting.run()
    again = (await invite(desk, first, 133, "fifteen@example.com")).json()
    assert (again["code"], again["remedy"].partition(":")[0]) == ("asked_already", "Leave it to the sample")
    assert len(box.messages) == 1
    await invited(desk, second, 133, "fifteen@example.com")
    assert len(box.messages) == 2


async def test_who_is_being_asked_about_one_recipient_is_asked_about_another(desk: Desk, box: Box) -> None:
    bank, other = desk.shared.bank, desk.shared.stranger
    notice = await bank.notice(desk.deal.dataset, other)
    first = await desk.imported(desk.row(134, recipient=other.id, notice_sha256=notice))
    second = await desk.imported(desk.row(134, evidence="scans/b.pdf"))
    await invited(desk, first, 134, "sixteen@example.com")
    await invited(desk, second, 134, "sixteen@example.com")


async def test_a_hold_on_one_item_ends_no_paper_and_lets_nobody_be_asked_about_the_rest(desk: Desk, box: Box) -> None:
    bank, other = desk.shared.bank, desk.shared.stranger
    [online] = await bank.consent(desk.deal.dataset, desk.shared.hotel, "C00135")
    notice = await bank.notice(desk.deal.dataset, other)
    to_other = desk.row(135, recipient=other.id, notice_sha256=notice, evidence="scans/b.pdf")
    batch = await desk.imported(desk.row(135, ago=30), to_other)
    await desk.act(online, Event.HOLD)
    answer = await invite(desk, batch, 135, "seventeen@example.com")
    assert (answer.status_code, answer.json()["code"], box.messages) == (409, "on_hold", [])
    assert sorted(await desk.states(135)) == ["imported", "imported", "on_hold"]


async def test_what_a_person_refused_since_ends_and_it_is_asked_about_the_rest(desk: Desk, box: Box) -> None:
    bank, other = desk.shared.bank, desk.shared.stranger
    notice = await bank.notice(desk.deal.dataset, other)
    first = await desk.imported(desk.row(50, ago=900))
    to_other = desk.row(50, recipient=other.id, notice_sha256=notice, evidence="scans/c.pdf")
    second = await desk.imported(desk.row(50, evidence="scans/b.pdf"), to_other)
    await invited(desk, first, 50, "eleven@example.com")
    asking = desk.shared.gateway.asking
    await asking.refuse_all((await asking.open(box.link("eleven@example.com"), BROWSER)).visit)
    desk.shared.clock.pass_seconds(61)
    told = await invited(desk, second, 50, "eleven@example.com")
    visit = (await asking.open(box.link("eleven@example.com"), BROWSER)).visit
    waiting = [one for one in await asking.about(visit) if one.state == "imported"]
    assert told["consents"] == [one.id for one in waiting]
    assert [one.recipient for one in waiting] == [other.id]
    assert sorted(await desk.states(50)) == ["imported", "invalidated", "refused"]


async def test_who_gave_it_later_is_not_asked_about_older_paper(desk: Desk, box: Box) -> None:
    batch = await desk.imported(desk.row(56))
    await desk.shared.bank.consent(desk.deal.dataset, desk.shared.hotel, "C00056")
    answer = await invite(desk, batch, 56, "twelve@example.com")
    assert (answer.status_code, answer.json()["code"], box.messages) == (409, "newer_consent", [])

from __future__ import annotations

import pytest

from gateway.consents.asking import Choice, Decision
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


async def invited(desk: Desk, batch: str, number: int, address: str) -> dict[str, object]:
    bank = desk.shared.bank
    body = {"subject": f"C{number:05}", "channel": "email", "address": address}
    answer = await bank.post(f"/v1/offline-consents/{batch}/invitations", await bank.token(), body)
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

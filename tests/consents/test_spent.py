"""What is over is not good again when it is stated again; a withdrawal still reaches whoever received it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.consents.followers import Ended
from gateway.consents.marks import COUNTED, Marking
from gateway.consents.states import Event
from gateway.ledger import Change
from tests.catalog.conftest import HOTEL, Shop
from tests.consents.desk import Desk, opened_desk, statement


class Heard:
    """Keeps what followers are told."""

    def __init__(self) -> None:
        self.causes: list[str] = []

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        self.causes += [one.cause for one in ended]


async def use_up(desk: Desk, record_id: str) -> None:
    """A permit by its only use."""
    marking = Marking.of([(record_id, COUNTED)])
    assert marking is not None
    async with desk.shop.database.transaction() as tx:
        assert await marking.stand(tx)
        await marking.write(tx, desk.shop.clock.now)


async def test_what_was_used_up_is_not_good_again_when_it_is_stated_again(shop: Shop) -> None:
    desk = await opened_desk(shop)
    once = statement(desk.now - 50, max_uses=1)
    [given] = await desk.record(once)
    await use_up(desk, given["id"])
    await desk.consents.overtaken.settle()
    assert await desk.state(given["id"]) == "consumed"
    [again] = await desk.record(once)
    assert again == {"result": "outdated", "because": "spent"}
    assert await desk.live() == 0


async def test_what_was_revoked_is_not_good_again_until_the_person_gives_anew(shop: Shop) -> None:
    desk = await opened_desk(shop)
    told = statement(desk.now - 50)
    [given] = await desk.record(told)
    await desk.act(given["id"], Event.REVOKE)
    assert [one["result"] for one in await desk.record(told)] == ["outdated"]
    assert [one["result"] for one in await desk.record(statement(desk.now - 49))] == ["recorded"]


async def test_a_withdrawal_of_what_was_used_up_is_told_once(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    [given] = await desk.record(statement(desk.now - 50, max_uses=1))
    await use_up(desk, given["id"])
    assert await desk.withdraw() == []
    assert heard.causes == ["consumed", "withdrawn"]
    await desk.withdraw()
    await desk.consents.withdrawing.one(shop.owner, given["id"])
    assert heard.causes == ["consumed", "withdrawn"]


async def test_one_that_was_used_up_can_be_withdrawn_by_its_id(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    [given] = await desk.record(statement(desk.now - 50, max_uses=1))
    await use_up(desk, given["id"])
    await desk.consents.overtaken.settle()
    await desk.consents.withdrawing.one(shop.owner, given["id"])
    assert heard.causes == ["consumed", "withdrawn"]


async def test_a_refused_renewal_ends_what_stood(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    [given] = await desk.record(statement(desk.now - 50))
    shop.clock.now += 5000
    await desk.act(await desk.propose(), Event.REFUSE)
    assert await desk.state(given["id"]) == "withdrawn"
    assert heard.causes == ["withdrawn"]
    assert await desk.live() == 0


async def test_refusing_one_recipient_ends_nothing_of_another(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [given] = await desk.record(statement(desk.now - 50))
    await desk.act(await desk.propose(recipient=HOTEL), Event.REFUSE)
    assert await desk.state(given["id"]) == "given"

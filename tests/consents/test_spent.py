"""What is over is not good again when it is stated again; a withdrawal still reaches whoever received it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.consents.followers import Ended
from gateway.consents.marks import COUNTED, Marking
from gateway.consents.past import ANY, keep_withdrawal
from gateway.consents.states import Event
from gateway.ledger import Change
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop
from tests.consents.desk import Desk, opened_desk, statement
from tests.consents.test_merging import merge


class Heard:
    """Keeps what followers are told."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.withdrawn: set[str] = set()

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        self.causes += [one.cause for one in ended]
        self.withdrawn |= {one.record_id for one in ended if one.cause == "withdrawn"}


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


async def test_a_withdrawal_of_what_was_used_up_is_told(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    [given] = await desk.record(statement(desk.now - 50, max_uses=1))
    await use_up(desk, given["id"])
    assert await desk.withdraw() == []
    assert heard.causes == ["consumed", "withdrawn"]


async def test_one_that_was_used_up_can_be_withdrawn_by_its_id(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    [given] = await desk.record(statement(desk.now - 50, max_uses=1))
    await use_up(desk, given["id"])
    await desk.consents.overtaken.settle()
    await desk.consents.withdrawing.one(shop.owner, given["id"])
    assert heard.causes == ["consumed", "withdrawn"]


async def given_by(desk: Desk, *used_up: str, standing: Sequence[str] = ()) -> list[str]:
    """The ids of what was given and used up by each of these subjects, and then of what stands by each of those."""
    stated = [statement(desk.now - 50, subject=one, max_uses=1) for one in used_up]
    stated += [statement(desk.now - 50, subject=one) for one in standing]
    ids = [one["id"] for one in await desk.record(*stated)]
    for one in ids[: len(used_up)]:
        await use_up(desk, one)
    await desk.consents.overtaken.settle()
    desk.shop.clock.now += 5000
    return ids


async def test_a_withdrawal_reaches_what_was_used_up_as_any_subject_of_the_person(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    ids = await given_by(desk, "C1", "C2")
    await merge(desk, "C1", "C2")
    await desk.withdraw("C1")
    assert heard.withdrawn == set(ids)


async def test_what_one_subject_gives_up_on_the_page_reaches_what_was_used_up_as_another(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    used_up, given = await given_by(desk, "C2", standing=["C1"])
    await merge(desk, "C1", "C2")
    await desk.act(given, Event.WITHDRAW)
    assert heard.withdrawn == {given, used_up}


async def test_a_merge_has_an_earlier_withdrawal_reach_what_was_used_up_as_the_other(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    ids = await given_by(desk, "C1", "C2")
    await desk.withdraw("C1")
    assert heard.withdrawn == {ids[0]}
    assert await merge(desk, "C1", "C2") == []
    assert heard.withdrawn == set(ids)


async def test_a_merge_has_no_withdrawal_reach_what_was_given_later_or_to_another_and_used_up(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    await desk.withdraw("C1", recipient=BANK)
    shop.clock.now += 90_000
    later, other = await desk.record(
        statement(desk.now, subject="C2", max_uses=1),
        statement(desk.now - 200, subject="C2", max_uses=1, recipient=HOTEL),
    )
    for one in (later, other):
        await use_up(desk, one["id"])
    await merge(desk, "C1", "C2")
    assert heard.withdrawn == set()


async def test_that_a_withdrawal_is_kept_does_not_say_that_anybody_heard_of_it(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    ids = await given_by(desk, "C1")
    async with shop.ledger.changing(AIRLINE) as change:
        await keep_withdrawal(change, desk.dataset.no, await desk.pseudonym(), ANY, ANY)
    await desk.withdraw()
    assert heard.withdrawn == set(ids)


async def test_a_merge_is_no_decision_against_what_was_given_since_the_withdrawal(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await given_by(desk, "C2")
    await desk.withdraw("C1")
    shop.clock.now += 5000
    given_at = desk.now
    shop.clock.now += 5000
    await merge(desk, "C1", "C2")
    [outcome] = await desk.record(statement(given_at, subject="C2"))
    assert outcome["result"] == "recorded"


async def test_a_refused_renewal_withdraws_nothing_that_was_used_up(shop: Shop) -> None:
    heard = Heard()
    desk = await opened_desk(shop, followers=heard)
    await given_by(desk, "C1")
    await desk.act(await desk.propose(), Event.REFUSE)
    assert heard.withdrawn == set()


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

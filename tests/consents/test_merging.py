"""Two subjects are one person, by the owner's word: whatever it decided against as one, it decided against as all."""

from __future__ import annotations

import orjson
import pytest

from gateway.consents.states import Event
from gateway.errors import Conflicting, Invalid, NotFound, Refused
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop, subject_of
from tests.consents.desk import Desk, instant, opened_desk, statement


async def merge(desk: Desk, person: str, duplicate: str) -> list[str]:
    told = await desk.consents.merging.merge(desk.shop.owner, desk.dataset.id, person=person, duplicate=duplicate)
    withdrawn: list[str] = orjson.loads(told)["withdrawn"]
    return withdrawn


async def test_a_merge_ends_what_a_third_subject_of_the_person_gave(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [given] = await desk.record(statement(desk.now - 50, subject="C3"))
    await merge(desk, "C2", "C3")
    shop.clock.now += 5000
    await desk.withdraw("C1")
    assert await merge(desk, "C1", "C2") == [given["id"]]
    assert await desk.live() == 0
    assert await merge(desk, "C1", "C2") == []


async def test_what_a_third_subject_gave_before_is_not_recorded_after_a_merge(shop: Shop) -> None:
    desk = await opened_desk(shop)
    given_s = desk.now - 50
    await merge(desk, "C2", "C3")
    await desk.withdraw("C1")
    await merge(desk, "C1", "C2")
    outcomes = await desk.record(*(statement(given_s, subject=one) for one in ("C2", "C3")))
    assert [one["because"] for one in outcomes] == ["withdrawn", "withdrawn"]


async def test_who_refused_as_one_subject_is_not_asked_as_the_other(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await desk.act(await desk.propose("C1"), Event.REFUSE)
    await merge(desk, "C1", "C2")
    shop.clock.now += 2000
    with pytest.raises(Conflicting, match="cooling_down"):
        await desk.propose("C2")
    [outcome] = await desk.record(statement(desk.now, subject="C2"))
    assert outcome["because"] == "cooling_down"


async def test_a_contact_withdrawn_as_one_subject_is_not_given_again_as_the_other(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await merge(desk, "C1", "C2")
    contact = {name: of for name, of in statement(desk.now - 50, channels=["email"]).items() if name != "fields"}
    [given] = await desk.record(contact)
    shop.clock.now += 1000
    await desk.consents.withdrawing.one(shop.owner, given["id"])
    [outcome] = await desk.record(contact | {"subject": "C2"})
    assert outcome["because"] == "withdrawn"


async def test_a_contact_withdrawn_as_one_subject_ends_what_the_other_gave_before(shop: Shop) -> None:
    desk = await opened_desk(shop)
    contact = {name: of for name, of in statement(desk.now - 50, channels=["email"]).items() if name != "fields"}
    outcomes = await desk.record(contact, contact | {"subject": "C2"})
    await desk.consents.withdrawing.one(shop.owner, outcomes[0]["id"])
    assert await merge(desk, "C1", "C2") == [outcomes[1]["id"]]


async def test_what_is_on_hold_for_one_subject_is_not_given_as_the_other(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [given] = await desk.record(statement(desk.now - 50, subject="C1"))
    await desk.act(given["id"], Event.HOLD)
    await merge(desk, "C1", "C2")
    [outcome] = await desk.record(statement(desk.now, subject="C2"))
    assert outcome["because"] == "on_hold"


async def test_a_merge_ends_what_was_withdrawn_for_that_recipient_and_purpose_alone(shop: Shop) -> None:
    desk = await opened_desk(shop)
    given_s = desk.now - 50
    bank, hotel = await desk.record(statement(given_s, subject="C2"), statement(given_s, subject="C2", recipient=HOTEL))
    await desk.withdraw("C1", recipient=BANK)
    await desk.withdraw("C1", recipient=HOTEL, purpose="market_analysis")
    assert await merge(desk, "C1", "C2") == [bank["id"]]
    assert await desk.state(hotel["id"]) == "given"


async def test_a_merge_in_one_dataset_ends_nothing_in_another(shop: Shop) -> None:
    desk, other = await opened_desk(shop), await opened_desk(shop, "other customers")
    [here] = await desk.record(statement(desk.now - 50, subject="C2"))
    [there] = await other.record(statement(other.now - 50, subject="C2"))
    await other.act(await other.propose("C1", recipient=HOTEL), Event.REFUSE)
    [of_hotel] = await desk.record(statement(desk.now - 50, subject="C2", recipient=HOTEL))
    await desk.withdraw("C1", recipient=BANK)
    assert await merge(desk, "C1", "C2") == [here["id"]]
    assert await other.state(there["id"]) == "given"
    assert await desk.state(of_hotel["id"]) == "given"


async def test_what_a_merge_has_ended_is_no_decision_of_the_person(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [first] = await desk.record(statement(desk.now - 50, subject="C2"))
    await desk.withdraw("C1")
    shop.clock.now += 5000
    [later] = await desk.record(statement(desk.now, subject="C3"))
    shop.clock.now += 5000
    assert await merge(desk, "C1", "C2") == [first["id"]]
    assert await merge(desk, "C2", "C3") == []
    assert await desk.state(later["id"]) == "given"


async def test_contacts_that_stand_end_nothing_and_what_is_asked_stays_asked(shop: Shop) -> None:
    desk = await opened_desk(shop)
    contact = {name: of for name, of in statement(desk.now - 50, channels=["email"]).items() if name != "fields"}
    [older] = await desk.record(contact | {"subject": "C2"})
    [newer] = await desk.record(contact | {"subject": "C1", "given_at": instant(desk.now)})
    assert newer["result"] == "recorded"
    asked = await desk.propose("C2", recipient=HOTEL)
    await desk.withdraw("C1", recipient=HOTEL)
    assert await merge(desk, "C1", "C2") == []
    assert [await desk.state(older["id"]), await desk.state(asked)] == ["given", "requested"]


@pytest.mark.parametrize("event", [Event.REFUSE, Event.WITHDRAW])
async def test_of_giving_as_one_subject_and_deciding_against_as_the_other_in_one_second_the_latter_counts(
    shop: Shop, event: Event
) -> None:
    desk = await opened_desk(shop)
    [given] = await desk.record(statement(desk.now, subject="C2"))
    if event is Event.REFUSE:
        await desk.act(await desk.propose("C1"), event)
    else:
        await desk.withdraw("C1")
    assert await merge(desk, "C1", "C2") == [given["id"]]


async def separate(desk: Desk, person: str, duplicate: str) -> None:
    await desk.consents.merging.separate(desk.shop.owner, desk.dataset.id, person=person, duplicate=duplicate)


async def test_who_was_merged_by_mistake_decides_alone_again_from_its_separation_on(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await desk.act(await desk.propose("C1"), Event.REFUSE)
    await merge(desk, "C1", "C2")
    await separate(desk, "C2", "C1")
    shop.clock.now += 2000
    assert "because" not in (await desk.record(statement(desk.now, subject="C2")))[0]
    shop.clock.now += 2000
    await desk.withdraw("C1")
    assert await desk.live() == 1


async def test_what_ended_by_a_merge_stays_ended_after_its_separation_until_it_is_given_anew(shop: Shop) -> None:
    desk = await opened_desk(shop)
    given_s = desk.now - 50
    await desk.record(statement(given_s, subject="C2"))
    shop.clock.now += 1000
    await desk.withdraw("C1")
    assert len(await merge(desk, "C1", "C2")) == 1
    await separate(desk, "C1", "C2")
    assert await desk.live() == 0
    shop.clock.now += 1000
    outcomes = await desk.record(statement(given_s, subject="C2"), statement(desk.now, subject="C2"))
    assert [one.get("because") for one in outcomes] == ["withdrawn", None]


async def test_the_two_that_one_merge_named_are_separated_and_no_others(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await merge(desk, "C1", "C2")
    await merge(desk, "C2", "C3")
    for one, other in (("C1", "C3"), ("C1", "C4")):
        with pytest.raises(Conflicting, match="not_merged"):
            await separate(desk, one, other)
    await separate(desk, "C1", "C2")
    shop.clock.now += 1000
    await desk.record(*(statement(desk.now, subject=one) for one in ("C1", "C2", "C3")))
    shop.clock.now += 1000
    await desk.withdraw("C3")
    assert await desk.live() == 1, "C2 and C3 are one still"
    with pytest.raises(Conflicting, match="not_merged"):
        await separate(desk, "C1", "C2")


async def test_a_separation_in_one_dataset_leaves_them_one_in_another(shop: Shop) -> None:
    desk, other = await opened_desk(shop), await opened_desk(shop, "other customers")
    for each in (desk, other):
        await merge(each, "C1", "C2")
    await separate(desk, "C1", "C2")
    [there] = await other.record(statement(other.now - 50, subject="C2"))
    await other.withdraw("C1")
    assert await other.state(there["id"]) == "withdrawn"


async def test_a_separation_is_on_record_and_one_subject_is_not_two(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await merge(desk, "C1", "C2")
    await separate(desk, "C1", "C2")
    assert (await desk.entries())[-1]["act"] == "persons_separated"
    with pytest.raises(Invalid, match="invalid_subject"):
        await separate(desk, "C1", "C1")


async def test_nobody_separates_what_is_anothers_or_without_the_right_to_withdraw(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await merge(desk, "C1", "C2")
    merging, of = desk.consents.merging, {"person": "C1", "duplicate": "C2"}
    with pytest.raises(NotFound):
        await merging.separate(subject_of(HOTEL), desk.dataset.id, **of)
    with pytest.raises(Refused):
        await merging.separate(subject_of(AIRLINE, actions={"consent"}), desk.dataset.id, **of)
    await separate(desk, "C1", "C2")

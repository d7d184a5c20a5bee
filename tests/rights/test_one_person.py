"""Two subjects that are one person, by their owner's word: what the person asks for as the one happens to both."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select

from gateway.consents.same_person import subjects_at
from gateway.database import Query
from gateway.vault.tables import subject_key
from tests.access.world import person
from tests.alliance import PERSONAL_SCHEMA
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="package")
_KEY = Query(
    select(subject_key.c.id).where(
        subject_key.c.member_id == bindparam("owner"), subject_key.c.scope == bindparam("pseudonym")
    )
)


async def _has_key(counter: Counter, number: int) -> bool:
    owner, pseudonym = await counter.person(number)
    return await counter.shared.gateway.database.one(_KEY, owner=owner, pseudonym=pseudonym) is not None


async def _two(counter: Counter, one: int, other: int) -> None:
    for number in (one, other):
        await counter.received(number)
    await counter.merged(one, other)


async def test_a_deletion_ends_shreds_and_follows_both(counter: Counter) -> None:
    await _two(counter, 14, 15)
    told = await counter.granted(14, "deletion")
    assert told["outcome"] == {"shredded": True, "ended": 2, "recipients": 1}
    for number in (14, 15):
        assert await counter.states(number) == ["revoked"]
        assert not await _has_key(counter, number)
        assert (counter.shared.hotel.id, "erased") in await counter.followed(number)
    assert not {"Person 14", "Person 15"} & await counter.names()


async def test_a_deletion_follows_what_had_ended_before_of_the_other_alone(counter: Counter) -> None:
    await counter.received(72)
    await counter.bank.withdraw(counter.deal.dataset, "C00072")
    counter.shared.clock.pass_seconds(120)
    await counter.received(71)
    await counter.merged(71, 72)
    await counter.granted(71, "deletion")
    assert await counter.followed(71) == [(counter.shared.hotel.id, "erased")]
    assert sorted(cause for _, cause in await counter.followed(72)) == ["erased", "withdrawn"]


async def test_what_a_case_keeps_of_the_other_keeps_both_and_both_are_deleted_after_it(counter: Counter) -> None:
    elsewhere = await counter.bank.declare(PERSONAL_SCHEMA)
    await counter.bank.upload(elsewhere, [person(17)])
    await _two(counter, 16, 17)
    case = await counter.dispute(elsewhere)
    told = await counter.granted(16, "deletion")
    assert told["outcome"]["kept_for"] == [case]
    assert [*await counter.states(16), *await counter.states(17)] == ["on_hold", "on_hold"]
    await counter.decide(case)
    await counter.rights.settling.run()
    assert not [one for one in (16, 17) if await _has_key(counter, one)]


async def test_a_restriction_holds_both(counter: Counter) -> None:
    await _two(counter, 18, 19)
    assert (await counter.granted(18, "restriction"))["outcome"] == {"held": 2, "recipients": 1}
    assert [*await counter.states(18), *await counter.states(19)] == ["on_hold", "on_hold"]


async def test_an_objection_ends_both_and_stands_against_what_either_gave_before(counter: Counter) -> None:
    await counter.received(20)
    await counter.merged(20, 21)
    counter.shared.clock.pass_seconds(2)
    assert (await counter.granted(21, "objection", "eu", upheld=True))["outcome"]["ended"] == 1
    assert await counter.states(20) == ["revoked"]
    assert [await counter.stated(one, ago=2) for one in (20, 21)] == ["outdated", "outdated"]


async def test_whoever_received_either_is_asked_once_about_the_records_of_both(counter: Counter) -> None:
    await _two(counter, 22, 23)
    shown = await counter.passed_on(22, "access")
    assert len(shown["consents"]) == len(shown["records"][counter.deal.dataset]) == 2


async def test_a_task_names_no_record_of_the_other_that_was_never_received(counter: Counter) -> None:
    await counter.received(83)
    await counter.merged(83, 84)
    assert len((await counter.passed_on(83, "access"))["records"][counter.deal.dataset]) == 1


async def test_a_person_is_one_over_the_datasets_of_one_owner_and_over_links_of_links(counter: Counter) -> None:
    await counter.merged(24, 25)
    await counter.merged(26, 25, await counter.bank.declare(PERSONAL_SCHEMA))
    everywhere = [await counter.person(number) for number in (24, 25, 26)]
    async with counter.shared.gateway.database.reading() as reading:
        found = [set(await subjects_at(reading, *one)) for one in everywhere]
        stranger = await subjects_at(reading, counter.shared.hotel.id, everywhere[0].pseudonym)
    assert found == [{one.pseudonym for one in everywhere}] * 3
    assert stranger == [everywhere[0].pseudonym]

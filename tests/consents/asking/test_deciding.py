"""What deciding leaves alone, when a question is put off, and who decides for whom a guardian must."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.consents.asking import Choice, Decision
from gateway.consents.marks import COUNTED, Marking
from gateway.consents.states import State
from gateway.errors import Conflicting
from tests.alliance import PERSONAL_SCHEMA, instant
from tests.consents.asking.test_asking import DAY_S, child, contacts
from tests.consents.asking.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")
GIVE = Decision(Choice.GIVE)
BY_SMS = Decision(Choice.GIVE, channels=frozenset({"sms"}))
CLOSE = Decision(Choice.CLOSE)


async def merge(world: World, dataset: str, person: str, duplicate: str, *, undo: bool = False) -> None:
    pair = {"subject": person, "duplicate": duplicate}
    path = f"/v1/datasets/{dataset}/{'separations' if undo else 'merges'}"
    answer = await world.bank.post(path, await world.bank.token(), pair)
    assert answer.is_success, answer.text


async def test_refusing_all_leaves_what_was_given(world: World) -> None:
    phone, made = await world.asked(world.item(), world.contact("sms"))
    visit = await world.confirmed(phone)
    [fields, channels] = made["records"]
    await world.asking.decide(visit, {fields: GIVE})
    assert await world.asking.refuse_all(visit) == {channels: State.REFUSED}
    assert sorted(await world.states(made["id"])) == ["given", "refused"]


async def test_what_was_withdrawn_before_is_not_withdrawn_again(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.give(phone)
    await world.asking.withdraw(visit, made["records"])
    before = len(await world.entries())
    with pytest.raises(Conflicting, match="wrong_state"):
        await world.asking.withdraw(visit, made["records"])
    assert len(await world.entries()) == before


async def test_what_expired_is_not_withdrawn_beside_what_stands_of_the_same_person(world: World) -> None:
    item = world.item(expires_after_days=1)
    phone, made = await world.asked(item)
    world.clock.pass_seconds(61)
    again = (await world.ask(phone, item, subject=f"D{phone[-5:]}")).json()
    await merge(world, world.dataset, f"C{phone[-5:]}", f"D{phone[-5:]}")
    [standing, expired] = sorted([*made["records"], *again["records"]])
    visit = await world.found(phone)
    await world.asking.confirm(visit, await world.code(visit, phone), {expired: GIVE})
    world.clock.pass_seconds(DAY_S // 2)
    visit = await world.found(phone)
    await world.asking.confirm(visit, await world.code(visit, phone), {standing: GIVE})
    world.clock.pass_seconds(DAY_S // 2)
    visit = await world.found(phone)
    confirmed = await world.asking.confirm(visit, await world.code(visit, phone))
    with pytest.raises(Conflicting, match="wrong_state"):
        await world.asking.withdraw(confirmed, [standing, expired])
    assert await world.asking.withdraw(confirmed, [standing]) == {standing: State.WITHDRAWN}


async def test_who_withdraws_everything_withdraws_what_it_gave_as_another_subject_too(world: World) -> None:
    here, asked = await world.asked(world.contact("sms"))
    visit = await world.confirmed(here)
    await world.asking.decide(visit, dict.fromkeys(asked["records"], BY_SMS))
    there, asked_there = await world.asked()
    await world.give(there)
    await merge(world, world.dataset, f"C{here[-5:]}", f"C{there[-5:]}")
    await world.found(here)
    outcome = await world.asking.withdraw_all(await world.confirmed(here))
    assert outcome == dict.fromkeys([*asked["records"], *asked_there["records"]], State.WITHDRAWN)
    assert await world.states(asked_there["id"]) == ["withdrawn"]


async def test_who_withdraws_everything_withdraws_nothing_where_the_two_subjects_were_not_merged(world: World) -> None:
    here, _ = await world.asked()
    there, asked_there = await world.asked()
    await world.give(there)
    await merge(world, await world.bank.declare(PERSONAL_SCHEMA), f"C{here[-5:]}", f"C{there[-5:]}")
    await world.found(here)
    await world.asking.withdraw_all(await world.confirmed(here))
    assert await world.states(asked_there["id"]) == ["given"]


async def test_a_guardian_who_withdraws_everything_withdraws_of_another_subject_what_is_the_childs(
    world: World,
) -> None:
    itself, asked = await world.asked(world.contact("sms"))
    visit = await world.confirmed(itself)
    await world.asking.decide(visit, dict.fromkeys(asked["records"], BY_SMS))
    mother, father = world.phone(), world.phone()
    await child(world, mother)
    through_father = (await child(world, father)).json()
    await world.give(father)
    for duplicate in (f"C{itself[-5:]}", f"K{father[-5:]}"):
        await merge(world, world.dataset, f"K{mother[-5:]}", duplicate)
    await world.found(mother)
    outcome = await world.asking.withdraw_all(await world.confirmed(mother))
    assert outcome == dict.fromkeys(through_father["records"], State.WITHDRAWN)
    assert await world.states(asked["id"]) == ["given"]


async def use_up(world: World, *records: str) -> None:
    """A permit by the only use of each."""
    for one in records:
        marking = Marking.of([(one, COUNTED)])
        assert marking is not None
        async with world.gateway.database.transaction() as tx:
            await marking.write(tx, world.clock())


async def followed(world: World, *records: str) -> list[str]:
    """Those of these whose withdrawal their recipient is told of."""
    told = await world.bank.get("/v1/withdrawals", await world.bank.token(), role="owner")
    return sorted(one["consent"] for one in told.json()["items"] if one["consent"] in records)


async def brought(world: World, subject: str, given_at: str) -> str:
    """What becomes of a consent on paper that its owner states now."""
    item = {"recipient": world.hotel.id, "purpose": "customer_referral", "fields": ["phone"], "given_at": given_at}
    said = item | {"subject": subject, "evidence_sha256": "e" * 64, "notice_sha256": world.notice}
    answer = await world.bank.post(f"/v1/datasets/{world.dataset}/consents", await world.bank.token(), said)
    return str(answer.json()["consents"][0]["result"])


async def withdrawn_ahead(world: World) -> list[dict[str, Any]]:
    return [one for one in await world.entries() if one.get("act") == "everything_withdrawn"]


@pytest.mark.parametrize("over_the_entry", [False, True])
async def test_who_withdraws_everything_withdraws_what_was_used_up_as_any_subject_that_it_is(
    world: World, *, over_the_entry: bool
) -> None:
    here, asked = await world.asked(world.item(max_uses=1))
    visit = await world.give(here)
    there, asked_there = await world.asked(world.item(max_uses=1))
    await world.give(there)
    both = [*asked["records"], *asked_there["records"]]
    await use_up(world, *both)
    await merge(world, world.dataset, f"C{here[-5:]}", f"C{there[-5:]}")
    if over_the_entry:
        await world.found(here)
        visit = await world.confirmed(here)
    assert await world.asking.withdraw_all(visit) == {}
    assert await followed(world, *both) == sorted(both)


async def test_what_was_used_up_and_withdrawn_over_a_requests_own_link_is_not_brought_later_as_another_subject(
    world: World,
) -> None:
    here, asked = await world.asked(world.item(max_uses=1))
    visit = await world.give(here)
    await use_up(world, *asked["records"])
    await merge(world, world.dataset, f"C{here[-5:]}", "C-later")
    given_at = instant(datetime.fromtimestamp(world.bank.now, UTC))
    world.clock.pass_seconds(60)
    await world.asking.withdraw_all(visit)
    await merge(world, world.dataset, f"C{here[-5:]}", "C-later", undo=True)
    assert await brought(world, "C-later", given_at) == "outdated"


async def test_a_guardian_who_withdraws_everything_withdraws_nothing_that_the_person_gave_itself(world: World) -> None:
    guardian = world.phone()
    await child(world, guardian)
    before = len(await withdrawn_ahead(world))
    given_at = instant(datetime.fromtimestamp(world.bank.now, UTC))
    await world.found(guardian)
    assert await world.asking.withdraw_all(await world.confirmed(guardian)) == {}
    assert await brought(world, f"K{guardian[-5:]}", given_at) == "recorded"
    assert len(await withdrawn_ahead(world)) == before


async def own_too(world: World, guardian: str) -> str:
    """The child, older now, has consented itself to what its guardian consented to; its consent."""
    item = {"recipient": world.hotel.id, "purpose": "customer_referral", "fields": ["phone"], "age_band": "14_to_17"}
    said = item | {"subject": f"K{guardian[-5:]}", "evidence_sha256": "e" * 64, "notice_sha256": world.notice}
    said["given_at"] = instant(datetime.fromtimestamp(world.bank.now, UTC))
    answer = await world.bank.post(f"/v1/datasets/{world.dataset}/consents", await world.bank.token(), said)
    [made] = answer.json()["consents"]
    assert made["result"] == "recorded", made
    return str(made["id"])


async def test_a_guardian_who_withdraws_what_was_used_up_withdraws_nothing_that_the_person_gave_itself_since(
    world: World,
) -> None:
    guardian = world.phone()
    [through_guardian] = (await child(world, guardian, max_uses=1)).json()["records"]
    await world.give(guardian)
    await use_up(world, through_guardian)
    world.clock.pass_seconds(60)
    own = await own_too(world, guardian)
    world.clock.pass_seconds(60)
    await world.found(guardian)
    assert await world.asking.withdraw_all(await world.confirmed(guardian)) == {}
    shown = await world.bank.get(f"/v1/consents/{own}", await world.bank.token())
    assert shown.json()["state"] == "given"
    assert await followed(world, through_guardian) == [through_guardian]


async def test_what_ran_out_and_a_guardian_withdrew_is_not_brought_later(world: World) -> None:
    guardian = world.phone()
    await child(world, guardian, expires_after_days=1)
    await world.give(guardian)
    world.clock.pass_seconds(60)
    given_at = instant(datetime.fromtimestamp(world.bank.now, UTC))
    world.clock.pass_seconds(2 * DAY_S)
    await world.found(guardian)
    assert await world.asking.withdraw_all(await world.confirmed(guardian)) == {}
    assert await brought(world, f"K{guardian[-5:]}", given_at) == "outdated"


async def test_a_request_is_put_off_once_each_of_its_items_is(world: World) -> None:
    phone, made = await world.asked(world.item(), world.contact("sms"))
    visit = await world.visit(phone)
    told = []
    for record in made["records"]:
        await world.asking.decide(visit, {record: CLOSE})
        told.append(await world.state(made["id"]))
    assert told == ["open", "deferred"]


async def test_what_waits_for_a_guardian_is_not_put_off(world: World) -> None:
    guardian = world.phone()
    made = (await child(world, guardian)).json()
    [record] = made["records"]
    visit = await world.visit(guardian)
    assert await world.asking.decide(visit, {record: CLOSE}) == {record: State.GUARDIAN_PENDING}
    assert await world.state(made["id"]) == "open"


async def asked_through(world: World, guardian: str, subject: str) -> Any:
    """The answer to asking the guardian of somebody of unknown age, in a dataset that is made for children."""
    dataset = await world.bank.declare(PERSONAL_SCHEMA | {"x-for-children": True})
    said = {
        "subject": subject,
        "notice_sha256": await world.bank.notice(dataset, world.hotel),
        "language": "en",
        "items": [world.item()],
        "age_band": "unknown",
        "guardian": {"relation": "parent", "channel": "sms", "address": guardian},
    }
    answer = await world.bank.post(f"/v1/datasets/{dataset}/consent-requests", await world.bank.token(), said)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_of_unknown_age_in_a_dataset_for_children_the_guardian_alone_gives_and_finds_it_again(
    world: World,
) -> None:
    own, guardian = world.phone(), world.phone()
    subject = f"U{own[-5:]}"
    made = await asked_through(world, guardian, subject)
    assert (await contacts(world, (subject, own))).status_code == 200
    theirs = await world.found(own)
    with pytest.raises(Conflicting, match="guardian_only"):
        await world.asking.confirm(theirs, await world.code(theirs, own), dict.fromkeys(made["records"], GIVE))
    visit = await world.found(guardian)
    await world.asking.confirm(visit, await world.code(visit, guardian), dict.fromkeys(made["records"], GIVE))
    again = await world.found(guardian)
    assert [one.id for one in await world.asking.about(again)] == made["records"]


async def test_a_guardian_finds_again_what_it_refused_for_a_child(world: World) -> None:
    guardian = world.phone()
    made = (await child(world, guardian)).json()
    await world.asking.refuse_all(await world.visit(guardian))
    assert [one.id for one in await world.asking.about(await world.found(guardian))] == made["records"]

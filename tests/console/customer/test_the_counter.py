"""What the gateway gathers for a visit, and what it passes on from there: asked directly, without a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio

from gateway.consents.asking import Kind, Visit
from gateway.consents.contacts import Channel, Holder, Role
from gateway.consents.notice_text import PERSONALISATION
from gateway.console.customer.gathering import _may_see
from gateway.console.customer.shown import item
from gateway.console.customer.suggesting import _titles
from gateway.console.customer.told import told_of
from gateway.console.customer.views import Wish
from gateway.console.customer.wishes import Wishes, single_persons
from gateway.errors import Conflicting, NotFound
from gateway.rights.request import Person
from tests.consents.asking.test_asking import child, contacts
from tests.consents.asking.world import World, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("desk")) as made:
        yield made


async def test_a_guardian_sees_what_guardians_asked_for_and_nothing_that_the_child_did(world: World) -> None:
    own, guardian = world.phone(), world.phone()
    subject = f"K{own[-5:]}"
    assert (await contacts(world, (subject, own))).status_code == 200
    assert (await child(world, guardian, subject)).status_code == 201
    counter = world.gateway.counter
    for address, kind in ((own, "access"), (guardian, "copy")):
        await world.found(address)
        visit = await world.confirmed(address)
        await counter.ask(visit, Wish(kind, world.bank.id, "Please."))
    assert [one.kind for one in (await counter.record(visit, "en")).asked] == ["copy"]


async def _found(world: World, phone: str) -> Visit:
    """In a visit over the page's own entry."""
    await world.found(phone)
    return await world.confirmed(phone)


async def test_a_request_goes_to_the_company_that_it_names_and_over_a_questions_link_to_none(world: World) -> None:
    phone, _ = await world.asked()
    over_link = await world.confirmed(phone)
    visit, counter = await _found(world, phone), world.gateway.counter
    for one, company in ((over_link, world.bank.id), (visit, world.hotel.id)):
        with pytest.raises(NotFound):
            await counter.ask(one, Wish("deletion", company, "Delete it."))
    elsewhere = Holder(world.hotel.id, visit.persons[0].pseudonym, Role.OWN)
    both = replace(visit, persons=(*visit.persons, elsewhere))
    assert await single_persons(world.gateway.database, both) == [
        one for owner in both.owners for one in both.persons if one.owner == owner
    ]
    asked = [await counter.ask(both, Wish("copy", owner, "All of it.")) for owner in both.owners]
    for made in asked:
        with pytest.raises(Conflicting):
            await counter.export(both, made)


async def test_what_a_relative_asks_about_somebody_who_died_is_not_taken_back_from_that_persons_number(
    world: World,
) -> None:
    phone, _ = await world.asked()
    visit, gateway = await _found(world, phone), world.gateway
    [own] = visit.persons
    person = Person(own.owner, own.pseudonym)
    theirs = await gateway.rights.open(person, "access", "Please.", visit=visit.id, behalf="next_of_kin")
    mine = await gateway.counter.ask(visit, Wish("access", own.owner, "Please."))
    asked = {one.id: one.can_be_retracted for one in (await gateway.counter.record(visit, "en")).asked}
    assert asked == {theirs: False, mine: True}
    with pytest.raises(NotFound):
        await gateway.counter.retract(visit, theirs)
    other = Holder(own.owner, "0" * 64, Role.OWN)
    shared = replace(visit, persons=(own, other))
    assert not [one for one in await gateway.counter._wishes.of(shared, str) if one.can_be_retracted]
    with pytest.raises(NotFound):
        await gateway.counter.retract(shared, mine)
    await gateway.counter.retract(visit, mine)
    asked = {one.id: one.can_be_retracted for one in (await gateway.counter.record(visit, "en")).asked}
    assert asked == {theirs: False, mine: False}


@pytest.mark.parametrize(("role", "behalf"), [(Role.OWN, "self"), (Role.GUARDIAN, "guardian")])
async def test_who_takes_a_request_back_is_told_with_it(world: World, role: Role, behalf: str) -> None:
    requests, person = AsyncMock(), Holder(world.bank.id, "0" * 64, role)
    requests.of_person.return_value = [{"id": "r", "behalf": "guardian"}]
    visit = Visit("visit", Kind.SELF_SERVICE, (person,), None, Channel.SMS, "en", b"term", 1, code_key=b"")
    await Wishes(world.gateway.database, requests, []).retract(visit, "r")
    named, taken = visit.named_to(person.owner), requests.retract
    taken.assert_awaited_once_with(Person(person.owner, person.pseudonym), "r", visit=named, behalf=behalf)


async def test_where_nothing_can_be_asked_for_there_is_nothing_to_see_or_take_along(world: World) -> None:
    phone, _ = await world.asked()
    visit, wishes = await _found(world, phone), Wishes(world.gateway.database, None, ["copy"])
    assert (wishes.kinds(visit), await wishes.of(visit, str)) == ((), ())
    with pytest.raises(Conflicting):
        await wishes.ask(visit, Wish("copy", world.bank.id, "All of it."))
    with pytest.raises(NotFound):
        await wishes.export(visit, "0" * 32)


async def test_the_owner_of_an_export_is_told_its_own_name_of_the_visit(world: World) -> None:
    phone, _ = await world.asked()
    visit, requests = await _found(world, phone), AsyncMock()
    requests.of_person.return_value = [{"id": "r", "behalf": "self"}]
    await Wishes(world.gateway.database, requests, []).export(visit, "r")
    [told] = requests.export.await_args_list
    assert told.kwargs["visit"] == visit.named_to(world.bank.id) != visit.id


@pytest.mark.parametrize(
    ("consent", "request_id", "role", "seen"),
    [
        ("its own", "request", Role.GUARDIAN, True),
        ("", None, Role.OWN, True),
        ("", "request", Role.OWN, False),
        ("", None, Role.GUARDIAN, False),
    ],
)
async def test_what_rests_on_no_consent_of_a_visit_is_for_the_person_itself_over_its_own_entry(
    consent: str, request_id: str | None, role: Role, seen: bool
) -> None:
    person = Holder("bank", "pseudonym", role)
    visit = Visit("visit", Kind.REQUEST, (person,), request_id, Channel.SMS, "en", b"term", 1, code_key=b"")
    assert _may_see(visit, person, consent, {"its own"}) is seen


async def test_a_consent_from_before_there_were_notices_is_shown_without_words_and_asks_nothing(world: World) -> None:
    phone, _ = await world.asked()
    [record] = await world.asking.about(await world.visit(phone))
    before = replace(record, id="before", notice_id=None)
    told = await told_of(world.gateway.database, [record, before])
    assert told.titles(record, "en").keys() == {"phone", "name", "id_number"}
    assert (told.notice(before), told.titles(before, "en"), told.titles(None, "en")) == (None, {}, {})
    items = await world.gateway.counter._gathering.questions([record, before], "en")
    assert [one.id for one in items] == [record.id]


async def test_of_joint_controllers_the_one_that_holds_the_data_is_named_as_the_provider(world: World) -> None:
    phone, _ = await world.asked()
    [record] = await world.asking.about(await world.visit(phone))
    told = await told_of(world.gateway.database, [record])
    [notice] = told.notices.values()
    [bank] = notice.document["controllers"]
    jointly = {"controllers": [bank | {"member": world.hotel.id, "name": "Another"}, bank]}
    joint = replace(told, notices={notice.id: replace(notice, document={**notice.document, **jointly})})
    assert dict(item(record, joint, "en").facts)["fact_provider"] == bank["name"]


async def test_a_suggestions_fields_have_the_words_of_that_members_notice_of_personalisation_alone(
    world: World,
) -> None:
    phone, _ = await world.asked()
    [record] = await world.asking.about(await world.visit(phone))
    told = await told_of(world.gateway.database, [record])
    [notice] = told.notices.values()
    [asked] = [one for one in notice.document["items"] if "fields" in one]
    personal = {**notice.document, "items": [asked, asked | {"purpose": PERSONALISATION}]}
    told = replace(told, notices={notice.id: replace(notice, document=personal)})
    personalises = replace(record, purpose=PERSONALISATION)
    assert _titles(world.hotel.id, [personalises], told, "en") == told.titles(record, "en") != {}
    assert _titles(world.hotel.id, [record], told, "en") == {}
    assert _titles(world.bank.id, [personalises], told, "en") == {}

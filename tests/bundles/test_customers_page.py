"""What a customer sees of bundles on its own page: who made which, why, from what; and the switch."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.consents.asking import Kind, Visit
from gateway.consents.contacts import Channel, Holder, Role
from gateway.console.customer.pdf import _sections
from gateway.console.customer.suggesting import Suggesting
from gateway.errors import NotFound
from tests.alliance import instant
from tests.bundles.world import Offering, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _visit(world: Offering, person: str, role: Role = Role.OWN) -> Visit:
    """A customer of the bank's, or its guardian, over the page's own entry."""
    bank = world.shared.bank.id
    keys = await world.shared.gateway.keyring.unlock(bank)
    holder = Holder(bank, keys.pseudonym(person), role)
    return Visit("a" * 32, Kind.SELF_SERVICE, (holder,), None, Channel.SMS, "en", b"term", 1, code_key=b"")


async def test_a_customer_sees_what_was_suggested_by_whom_why_and_from_which_fields(world: Offering) -> None:
    await world.consent("C2")
    await world.made("C2")
    await world.shared.bank.withdraw(world.people.dataset, "C2")
    world.shared.clock.pass_seconds(1)
    await world.made("C2")
    counter, visit = world.shared.gateway.counter, await _visit(world, "C2")
    generic, personal = (await counter.record(visit, "en")).suggestions
    assert (personal.member, personal.is_personal) == (world.shared.hotel.name, True)
    assert [(one.name, one.reasons) for one in personal.products][:2] == [
        ("Alpine flight", ("Because of likes_mountains",)),
        ("Family seats", ("Because of has_children",)),
    ]
    assert len(personal.fields) == 2
    assert (generic.is_personal, generic.fields) == (False, ())
    assert "原因：LIKES_MOUNTAINS" in str((await counter.record(visit, "zh")).suggestions)


async def test_the_downloads_have_suggestions_and_switches_and_no_value_of_the_person(world: Offering) -> None:
    await world.consent("C3")
    made = await world.made("C3")
    counter, visit = world.shared.gateway.counter, await _visit(world, "C3")
    copy = json.loads(json.dumps(await counter.copy(visit)))
    (suggestion,) = copy["suggestions"]
    assert (suggestion["items"], suggestion["fields_used"]) == (made["items"], ["children", "likes"])
    assert "preferences" not in suggestion
    assert copy["suggestion_switches"] == [{"company": world.shared.bank.id, "is_off": False}]
    paper = dict(_sections(await counter.record(visit, "en"), "en"))
    assert "Spa week: Because of likes_wellness" in paper["What was suggested to you"]
    assert paper["Suggestions that fit you"][0].endswith(": on")
    await world.shared.bank.withdraw(world.people.dataset, "C3")


async def test_the_customers_switch_holds_at_once_and_is_entered_as_the_visits(world: Offering) -> None:
    await world.consent("C1")
    counter, visit, bank = world.shared.gateway.counter, await _visit(world, "C1"), world.shared.bank.id
    await counter.switch(visit, bank, off=True)
    assert [one.is_off for one in (await counter.record(visit, "en")).switches] == [True]
    assert (await world.made("C1"))["personal"] is False
    act = next(one for one in reversed(await world.shared.entries(bank)) if one.get("act") == "bundles_switched_off")
    assert act["actor"] == {"visit": visit.named_to(bank)}
    await counter.switch(visit, bank, off=False)
    assert shown(await world.made("C1"))[0] == "B2"
    with pytest.raises(NotFound):
        await counter.switch(visit, world.shared.hotel.id, off=True)
    await world.shared.bank.withdraw(world.people.dataset, "C1")


async def test_a_link_for_one_question_shows_no_suggestion(world: Offering) -> None:
    await world.made("C1", personal=False)
    visit = await _visit(world, "C1")
    assert (await world.shared.gateway.counter.record(visit, "en")).suggestions
    suggesting = Suggesting(world.shared.gateway.bundling.persons, world.shared.clock)
    assert await suggesting.told(replace(visit, request_id="r"), []) == []


async def test_a_guardian_sees_suggestions_and_turns_the_switch_only_while_a_childs_consent_holds(
    world: Offering,
) -> None:
    shared, bank = world.shared, world.shared.bank
    shared.clock.pass_seconds(120)  # the consent is as of a minute ago, and a withdrawal since then wins
    counter, visit = shared.gateway.counter, await _visit(world, "C3", Role.GUARDIAN)
    young = {"age_band": "under_14", "turns_14_at": instant(datetime.fromtimestamp(bank.now + 60, UTC))}
    parent = {"guardian": {"relation": "parent", "verified": "document"}}
    await bank.consent(world.people.dataset, shared.hotel, "C3", fields=["likes"], **young, **parent)
    await world.made("C3", personal=False)
    await counter.switch(visit, bank.id, off=False)
    seen = await counter.record(visit, "en")
    assert len(seen.suggestions) > 0
    assert [one.is_off for one in seen.switches] == [False]
    shared.clock.pass_seconds(61)
    seen = await counter.record(visit, "en")
    assert (seen.suggestions, seen.switches) == ((), ())
    copy = await counter.copy(visit)
    assert (copy["suggestions"], copy["suggestion_switches"]) == ([], [])
    with pytest.raises(NotFound):
        await counter.switch(visit, bank.id, off=True)
    assert (await counter.record(await _visit(world, "C3"), "en")).suggestions

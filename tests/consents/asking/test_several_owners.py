"""A number that several members know: none keeps its holder from coming in or from withdrawing at another, and no two
learn by the visit that they have a customer in common.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.consents.asking import Choice, Decision, Visit
from gateway.consents.contacts import FRESH_MS, Address, Channel
from gateway.consents.states import State
from gateway.console.customer.views import Wish
from gateway.errors import NotFound
from gateway.ledger.errors import LedgerRolledBack
from gateway.ledger.stored import entries, state
from tests.alliance import PERSONAL_SCHEMA, Member
from tests.consents.asking.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


@dataclass
class Known:
    """A customer of two members, with what was given at each: by owner the record. `dataset` is the stranger's."""

    phone: str
    records: dict[str, str]
    dataset: str

    @property
    def owners(self) -> list[str]:
        return sorted(self.records)


async def known(world: World) -> Known:
    """What the bank asked about was given; the stranger took a consent down itself."""
    phone, made = await world.asked()
    await world.give(phone)
    other = world.alliance.members["stranger"]
    dataset = await other.declare(PERSONAL_SCHEMA, name=f"of {phone}")
    subject = f"X{phone[-5:]}"
    await state_at(other, dataset, subject, phone)
    world.clock.pass_seconds(61)
    [record] = await other.consent(dataset, world.hotel, subject)
    world.clock.pass_seconds(61)
    records = {world.bank.id: made["records"][0], other.id: record}
    return Known(phone, records, dataset)


async def state_at(owner: Member, dataset: str, subject: str, phone: str) -> None:
    said = {"contacts": [{"subject": subject, "channel": "sms", "address": phone}]}
    answer = await owner.post(f"/v1/datasets/{dataset}/contacts", await owner.token(), said)
    assert answer.status_code == 200, answer.text


async def came(world: World, customer: Known) -> Visit:
    """In a confirmed visit over the page's own entry."""
    await world.found(customer.phone)
    visit = await world.confirmed(customer.phone)
    assert list(visit.owners) == customer.owners
    return visit


async def standing(world: World, visit: Visit) -> dict[str, State]:
    return {one.id: one.state for one in await world.asking.about(visit)}


async def log(world: World, owner: str) -> list[dict[str, Any]]:
    database = world.gateway.database
    return [json.loads(row["body"]) for row in await entries(database, owner, 0, (await state(database, owner)).size)]


@contextmanager
def ran_back(world: World, owner: str) -> Iterator[None]:
    """This owner's log is shorter than it was: nothing is written to it any more."""
    sizes = world.gateway.ledger._appender._sizes
    before = sizes[owner]
    sizes[owner] = before + 1_000
    yield
    sizes[owner] = before


@pytest.mark.parametrize("which", [0, 1])
async def test_a_member_whose_log_cannot_be_written_keeps_nobody_from_withdrawing_one_item_at_another(
    world: World, which: int
) -> None:
    customer = await known(world)
    broken, whole = customer.owners[which], customer.owners[1 - which]
    visit = await came(world, customer)
    with ran_back(world, broken):
        record = customer.records[whole]
        assert await world.asking.withdraw(visit, [record]) == {record: State.WITHDRAWN}
        with pytest.raises(LedgerRolledBack):
            await world.asking.withdraw(visit, [customer.records[broken]])
    assert (await standing(world, visit))[customer.records[broken]] is State.GIVEN


@pytest.mark.parametrize("which", [0, 1])
async def test_who_withdraws_everything_withdraws_what_can_be_and_hears_that_it_was_not_all(
    world: World, which: int
) -> None:
    customer = await known(world)
    broken, whole = customer.owners[which], customer.owners[1 - which]
    visit = await came(world, customer)
    with ran_back(world, broken), pytest.raises(LedgerRolledBack):
        await world.asking.withdraw_all(visit)
    now = await standing(world, visit)
    assert (now[customer.records[whole]], now[customer.records[broken]]) == (State.WITHDRAWN, State.GIVEN)
    assert await world.asking.withdraw_all(visit) == {customer.records[broken]: State.WITHDRAWN}


async def test_a_member_whose_log_cannot_be_written_keeps_nobody_from_refusing_at_another(world: World) -> None:
    customer = await known(world)
    made = (await world.ask(customer.phone, world.contact("sms"))).json()
    visit = await came(world, customer)
    with ran_back(world, world.alliance.members["stranger"].id), pytest.raises(LedgerRolledBack):
        await world.asking.refuse_all(visit)
    assert await world.states(made["id"]) == ["refused"]


@pytest.mark.parametrize("which", [0, 1])
async def test_a_person_comes_in_though_one_members_log_cannot_be_written(world: World, which: int) -> None:
    customer = await known(world)
    broken, whole = customer.owners[which], customer.owners[1 - which]
    told = await log(world, broken)
    with ran_back(world, broken):
        visit = await came(world, customer)
        assert await world.asking.withdraw(visit, [customer.records[whole]])
    assert [one["act"] for one in (await log(world, whole))[-3:-1]] == ["consent_code_sent", "consent_code_confirmed"]
    assert await log(world, broken) == told


async def test_every_owner_of_a_visit_has_the_entries_of_its_code(world: World) -> None:
    customer = await known(world)
    await came(world, customer)
    for owner in customer.owners:
        assert [one["act"] for one in (await log(world, owner))[-2:]] == ["consent_code_sent", "consent_code_confirmed"]


async def test_a_code_without_an_entry_at_an_owner_proves_the_address_to_none_of_its_persons(world: World) -> None:
    customer = await known(world)
    stranger = world.alliance.members["stranger"].id
    world.clock.ms += FRESH_MS // 2
    with ran_back(world, stranger):
        await came(world, customer)
    world.clock.ms += FRESH_MS // 2 + 1
    found = await world.asking.contacts.behind(world.gateway.database, Address(Channel.SMS, customer.phone))
    assert [one.owner for one in found] == [world.bank.id]


async def test_with_the_code_it_is_decided_at_one_owner_though_another_ones_log_cannot_be_written(world: World) -> None:
    customer = await known(world)
    [record] = (await world.ask(customer.phone, world.contact("sms"))).json()["records"]
    visit = await world.found(customer.phone)
    code, given = await world.code(visit, customer.phone), Decision(Choice.GIVE, channels=frozenset({"sms"}))
    with ran_back(world, world.bank.id), pytest.raises(LedgerRolledBack):
        await world.asking.confirm(visit, code, {record: given})
    with ran_back(world, world.alliance.members["stranger"].id):
        confirmed = await world.asking.confirm(visit, code, {record: given})
    assert (await standing(world, confirmed))[record] is State.GIVEN


async def test_what_a_corrected_number_led_to_at_one_owner_is_left_alone_and_the_rest_is_withdrawn(
    world: World,
) -> None:
    customer = await known(world)
    stranger = world.alliance.members["stranger"]
    visit = await came(world, customer)
    await state_at(stranger, customer.dataset, f"X{customer.phone[-5:]}", world.phone())
    with pytest.raises(NotFound):
        await world.asking.withdraw_all(visit)
    with pytest.raises(NotFound):
        await world.asking.withdraw(visit, [customer.records[stranger.id]])
    now = await standing(world, visit)
    assert now == {customer.records[world.bank.id]: State.WITHDRAWN, customer.records[stranger.id]: State.GIVEN}


def visits_in(told: Any) -> set[str]:
    """Whatever is called a visit, however deep."""
    if isinstance(told, dict):
        deeper = set().union(*map(visits_in, told.values()))
        return deeper | ({told["visit"]} if "visit" in told else set())
    return set().union(*map(visits_in, told)) if isinstance(told, list) else set()


async def events(owner: Member, record: str) -> Any:
    answer = await owner.get(f"/v1/consents/{record}", await owner.token())
    assert answer.status_code == 200, answer.text
    return answer.json()


ACTS = {
    "consent_code_sent", "consent_code_confirmed", "bundles_switched_off", "right_requested", "everything_withdrawn",
    "consent_withdraw",
}  # fmt: skip


async def test_no_two_owners_are_told_the_same_name_of_a_visit(world: World) -> None:
    customer = await known(world)
    members = {world.bank.id: world.bank, world.alliance.members["stranger"].id: world.alliance.members["stranger"]}
    begun = {owner: len(await log(world, owner)) for owner in customer.owners}
    visit, counter = await came(world, customer), world.gateway.counter
    for owner in customer.owners:
        await counter.switch(visit, owner, off=True)
        await counter.ask(visit, Wish("copy", owner, "All of it."))
    await world.asking.withdraw_all(visit)
    told = {}
    for owner in customer.owners:
        said = (await log(world, owner))[begun[owner] :]
        assert {one["act"] for one in said if visits_in(one)} == ACTS
        [told[owner]] = visits_in(said)
        assert visits_in((await events(members[owner], customer.records[owner]))["events"][-1]) == {told[owner]}
    assert len({visit.id, *told.values()}) == 3

from __future__ import annotations

from typing import Any

import pytest

from gateway.duties.certificates import certificate_text
from gateway.errors import Conflicting, Invalid, NotFound, Refused
from gateway.identity.jws import sign_compact, thumbprint
from tests.agreements.world import FLIGHTS, Company, new_key, public
from tests.company_signatures import sign_certificate
from tests.duties.world import DutyWorld

DAY_S = 24 * 3600


async def ended(world: DutyWorld) -> str:
    """An agreement under which the bank received, and which ended before its time, after the calendar was looked at."""
    agreement = await world.agreed()
    await world.received(agreement, world.bank)
    await world.duty_run.run()
    await world.life.terminate(world.airline.acting("sign"), agreement)
    await world.duty_run.run()
    return agreement


async def signed(world: DutyWorld, agreement: str, by: Company, outcome: str = "destroyed") -> str:
    return sign_certificate(await world.returns.text(by.acting("sign"), agreement, outcome), by.key)


async def owed(world: DutyWorld, by: Company) -> list[tuple[str, str]]:
    duties = await world.agenda.of(by.id, world.clock.now_s, world.clock.now_s + 300 * 24 * 3600)
    return [(one["member"], one["state"]) for one in duties if one["kind"] == "return"]


async def owing(world: DutyWorld) -> set[str]:
    """The agreements under which the bank still owes a certificate."""
    duties = await world.agenda.of(world.bank.id, world.clock.now_s, world.clock.now_s + 300 * DAY_S)
    return {one["agreement"] for one in duties if one["kind"] == "return" and one["state"] == "open"}


async def test_after_the_end_who_received_returns_or_destroys_and_certifies_with_its_key(world: DutyWorld) -> None:
    agreement = await ended(world)
    assert await owed(world, world.bank) == await owed(world, world.airline) == [(world.bank.id, "open")]
    jws = await signed(world, agreement, world.bank)
    shown = await world.returns.certify(world.bank.acting("sign"), agreement, jws)
    assert (shown["state"], shown["outcome"]) == ("certified", "destroyed")
    assert await world.returns.certify(world.bank.acting("withdraw"), agreement, jws) == shown
    world.clock.forward(40 * 24 * 3600)
    assert (await world.duty_run.run()).candidates == 0
    entries = [one for one in await world.entries() if str(one.get("act")).startswith("return")]
    assert [one["act"] for one in entries] == ["return_due", "return_certified"]
    assert all(one["log"].endswith(world.airline.id) for one in entries)


async def test_an_overdue_certificate_is_one_candidate_and_can_still_be_handed_in(world: DutyWorld) -> None:
    agreement = await ended(world)
    world.clock.forward(30 * 24 * 3600)
    assert (await world.duty_run.run()).candidates == 0
    world.clock.forward(1)
    assert (await world.duty_run.run()).candidates == 1
    world.clock.forward(24 * 3600)
    assert (await world.another_run().run()).candidates == 0
    (candidate,) = await world.candidates()
    assert (candidate["respondent"], candidate["claimant"]) == (world.bank.id, world.airline.id)
    jws = await signed(world, agreement, world.bank, "returned")
    assert (await world.returns.certify(world.bank.acting("sign"), agreement, jws))["case"] == candidate["case"]


async def test_who_never_received_owes_nothing(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    agreement = await world.agreed()
    await world.received(agreement, world.bank, records=0)
    await world.received(await world.agreed(), world.bank)
    world.at("2027-01-01T00:00:00Z")
    await world.duty_run.run()
    assert await owed(world, world.hotel) == []
    with pytest.raises(NotFound):
        await world.returns.text(world.bank.acting("sign"), agreement, "destroyed")
    assert [one["member"] for one in await world.entries() if one.get("act") == "return_due"] == [world.bank.id]


async def test_what_was_received_is_held_on_under_an_amendment_and_owed_at_its_end(world: DutyWorld) -> None:
    """An amendment is no end: nobody destroys what it goes on to share, and nobody breaches by keeping it."""
    old = await world.agreed()
    await world.received(old, world.bank)
    new = await world.signed(amends=old, title="Second version")
    await world.duty_run.run()
    assert await owed(world, world.bank) == []
    world.clock.forward(40 * 24 * 3600)
    assert (await world.duty_run.run()).candidates == 0
    newest = await world.signed(amends=new, title="Third version")
    await world.life.terminate(world.bank.acting("sign"), newest)
    await world.duty_run.run()
    assert await owed(world, world.bank) == await owed(world, world.airline) == [(world.bank.id, "open")]
    await world.returns.certify(world.bank.acting("sign"), newest, await signed(world, newest, world.bank))
    for earlier in (old, new):
        with pytest.raises(NotFound):
            await world.returns.text(world.bank.acting("sign"), earlier, "destroyed")


async def test_what_an_amendment_does_not_share_any_more_is_owed_at_once(sqlite_world: DutyWorld) -> None:
    """A dataset that it leaves out, and a third party that it does not name."""
    world = sqlite_world
    world.own(world.airline, "planes")
    usual = {"fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"]}
    both = [usual | {"dataset": name} for name in (FLIGHTS, "planes")]
    onward = {"onward": "written_consent", "third_parties": [world.hotel.id]}
    for kept, owing in (
        ({"datasets": both[:1], **onward}, {world.bank.id, world.hotel.id}),
        ({"datasets": both}, {world.hotel.id}),
    ):
        old = await world.signed(datasets=both, **onward)
        for receiver in (world.bank, world.hotel):
            await world.received(old, receiver)
        await world.signed(amends=old, **kept)
        await world.duty_run.run()
        due = [one for one in await world.entries() if one.get("act") == "return_due" and one["agreement"] == old]
        assert {one["member"] for one in due} == owing


@pytest.mark.parametrize(
    ("before", "after", "is_owed"),
    [
        ({}, {"carrier": ["UA"]}, True),
        ({"carrier": ["UA", "AA"]}, {"carrier": ["UA"]}, True),
        ({"carrier": ["UA"]}, {"carrier": ["UA"], "month": ["1"]}, True),
        ({"carrier": ["UA"]}, {"carrier": ["UA", "AA"]}, False),
        ({"carrier": ["UA"]}, {}, False),
    ],
)
async def test_the_rows_that_an_amendment_leaves_out_are_owed_at_once(
    sqlite_world: DutyWorld, before: dict[str, list[str]], after: dict[str, list[str]], is_owed: bool
) -> None:
    world = sqlite_world

    def sharing(rows: dict[str, list[str]]) -> list[dict[str, Any]]:
        agreed = {"rows": [{"field": name, "in": values} for name, values in rows.items()]} if rows else {}
        usual = {"fields": ["carrier", "month"], "purposes": ["market_analysis"], "methods": ["api"]}
        return [{"dataset": FLIGHTS, **usual, **agreed}]

    old = await world.agreed(datasets=sharing(before))
    await world.received(old, world.bank)
    await world.agreed(amends=old, datasets=sharing(after))
    await world.duty_run.run()
    assert bool(await owed(world, world.bank)) is is_owed


async def test_only_the_members_own_key_for_agreements_signs_and_only_this_text(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    agreement = await ended(world)
    bank = world.bank.acting("sign")
    text = await world.returns.text(bank, agreement, "destroyed")
    stranger = new_key()
    unconfirmed = new_key()
    await world.add_signing_key(world.bank.id, public(unconfirmed))
    kid = {"kid": thumbprint(public(world.bank.key))}
    forged = [
        ("signing_key_unknown", sign_certificate(text, world.airline.key)),
        ("signing_key_unknown", sign_certificate(text, stranger)),
        ("signing_key_unconfirmed", sign_certificate(text, unconfirmed)),
        ("signature_over_other_text", sign_certificate(text + b" ", world.bank.key)),
        ("jws", sign_compact(text, world.bank.key, typ="agreement+jws", header=kid)),
        ("jws", sign_compact(text, stranger, typ="destruction-certificate+jws", header=kid)),
    ]
    for code, jws in forged:
        with pytest.raises(Invalid) as refusal:
            await world.returns.certify(bank, agreement, jws)
        assert code in refusal.value.code
    with pytest.raises(Refused, match="ACTION_NOT_GRANTED"):
        await world.returns.certify(world.bank.acting("draft"), agreement, sign_certificate(text, world.bank.key))
    with pytest.raises(NotFound):
        await world.returns.certify(world.hotel.acting("sign"), agreement, sign_certificate(text, world.hotel.key))
    found = await world.agreements.load(agreement)
    assert found is not None
    with pytest.raises(Invalid, match="outcome_unknown"):
        certificate_text(found, world.bank.id, "kept")
    assert await owed(world, world.bank) == [(world.bank.id, "open")]


async def test_another_certificate_does_not_replace_the_first(sqlite_world: DutyWorld) -> None:
    world = sqlite_world
    agreement = await ended(world)
    bank = world.bank.acting("sign")
    await world.returns.certify(bank, agreement, await signed(world, agreement, world.bank))
    with pytest.raises(Conflicting, match="already_certified"):
        await world.returns.certify(bank, agreement, await signed(world, agreement, world.bank, "returned"))


async def test_what_an_amendment_goes_on_with_is_returned_at_its_own_end(world: DutyWorld) -> None:
    first = await world.agreed()
    await world.received(first, world.bank)
    second = await world.agreed(amends=first)
    third = await world.agreed(amends=second)
    world.clock.forward(40 * DAY_S)
    await world.duty_run.run()
    assert (await owed(world, world.bank), await world.candidates()) == ([], [])
    await world.received(third, world.bank)
    await world.life.terminate(world.airline.acting("sign"), third)
    await world.duty_run.run()
    assert await owing(world) == {third}
    text = await world.returns.text(world.bank.acting("sign"), third, "destroyed")
    assert b"under this agreement and those that it replaced" in text
    world.clock.forward(30 * DAY_S + 1)
    assert (await world.duty_run.run()).candidates == 1
    assert (await world.duty_run.run()).candidates == 0


async def test_what_an_amendment_drops_is_returned_when_it_begins(world: DutyWorld) -> None:
    world.own(world.airline, "weather")
    shared = {"fields": ["year"], "purposes": ["market_analysis"], "methods": ["api"]}
    first = await world.agreed(datasets=[{"dataset": name, **shared} for name in (FLIGHTS, "weather")])
    await world.received(first, world.bank)
    second = await world.agreed(amends=first)
    await world.duty_run.run()
    assert await owing(world) == {first}
    await world.received(second, world.bank)
    await world.life.terminate(world.airline.acting("sign"), second)
    await world.duty_run.run()
    assert await owing(world) == {first, second}

"""What the clock ended is recorded, for every owner whose log can be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.consents import overtaken
from gateway.consents.states import State
from gateway.ledger.errors import LedgerRolledBack
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop, subject_of, uscc_of
from tests.consents.desk import PERSON, Desk, instant, opened_desk, statement
from tests.notices import field, item, notice, party


async def of_the_bank(shop: Shop) -> Desk:
    """The bank's customers, told of the hotel."""
    bank = replace(shop, owner=subject_of(BANK))
    desk = Desk(bank, await bank.declare(PERSON, name="bank customers", person="number"))
    to_hotel = item(party(HOTEL, uscc_of(2)), "customer_referral", fields=[field("number"), field("city")])
    return await desk.publish(notice(party(BANK, uscc_of(1)), [to_hotel]))


async def test_a_log_that_cannot_be_written_holds_up_its_owners_records_alone(shop: Shop) -> None:
    airline, bank = await opened_desk(shop), await of_the_bank(shop)
    [first] = await airline.record(statement(airline.now - 50, expires_at=instant(airline.now + 10)))
    [second] = await bank.record(statement(bank.now - 50, recipient=HOTEL, expires_at=instant(bank.now + 20)))
    shop.clock.now += 60_000
    shop.ledger._incidents = {AIRLINE: LedgerRolledBack("The log ran back.")}
    with pytest.raises(LedgerRolledBack):
        await airline.consents.overtaken.settle()
    stored = [await airline.consents.records.get(shop.database, one["id"]) for one in (first, second)]
    assert [one.state.value for one in stored if one is not None] == ["given", "expired"]
    shop.ledger._incidents = {}
    assert await airline.consents.overtaken.settle() == 1
    assert await airline.consents.overtaken.settle() == 0


async def test_a_log_that_cannot_be_written_holds_up_no_other_however_many_of_its_records_are_due_first(
    shop: Shop,
) -> None:
    airline, bank = await opened_desk(shop), await of_the_bank(shop)
    soon = instant(airline.now + 10)
    many = [statement(airline.now - 50, subject=f"C{n}", expires_at=soon) for n in range(overtaken._AT_ONCE)]
    await airline.record(*many)
    [last] = await bank.record(statement(bank.now - 50, recipient=HOTEL, expires_at=instant(bank.now + 20)))
    shop.clock.now += 60_000
    shop.ledger._incidents = {AIRLINE: LedgerRolledBack("The log ran back.")}
    with pytest.raises(LedgerRolledBack):
        await airline.consents.overtaken.settle()
    record = await bank.consents.records.get(shop.database, last["id"])
    assert record is not None
    assert record.state is State.EXPIRED


async def test_what_fits_in_one_transaction_is_one_and_has_one_entry(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    soon = instant(desk.now + 1)
    await desk.record(*[statement(desk.now, subject=f"C{n}", expires_at=soon) for n in range(3)])
    shop.clock.now += 1_000
    monkeypatch.setattr(overtaken, "_LONGEST_TRANSACTION_S", 600)
    assert await desk.consents.overtaken.settle() == 3
    assert [one["count"] for one in await desk.entries() if one["act"] == "consents_overtaken"] == [3]


async def test_what_another_server_has_recorded_meanwhile_is_not_recorded_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now, expires_at=instant(desk.now + 1)))
    shop.clock.now += 1_000
    late = desk.consents.overtaken
    found = iter([{AIRLINE: [told["id"]]}, {AIRLINE: [told["id"]]}, {}])

    async def as_both_found_it(_: object) -> Mapping[str, Sequence[str]]:
        return next(found)

    monkeypatch.setattr(late, "_due", as_both_found_it)
    assert await late.settle() == 1
    assert [one["count"] for one in await desk.entries() if one["act"] == "consents_overtaken"] == [1]

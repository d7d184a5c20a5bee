"""What the clock ended is recorded, for every owner whose log can be written."""

from __future__ import annotations

from dataclasses import replace

import pytest

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

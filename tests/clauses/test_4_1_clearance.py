"""Clause 4.1.3: what is graded higher than the reader is cleared for does not leave."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, bindparam, update

from gateway.database import Query
from gateway.members.revision import touch_member
from gateway.members.tables import member
from tests.access.world import PLACES, Deal, Shared, reasons, records
from tests.alliance import MARKET_SCHEMA

_CLEAR = Query(
    update(member).where(member.c.id == bindparam("the_id")).values(clearance=bindparam("to", type_=BigInteger))
)


async def clear(shared: Shared, grade: int) -> None:
    """The hotel is cleared for data up to a grade from now on."""
    async with shared.gateway.ledger.changing(narrows=[shared.bank.id]) as change:
        await change.tx.run(_CLEAR, the_id=shared.hotel.id, to=grade)
        await touch_member(change, shared.hotel.id)


async def test_4_1_3_a_grade_above_the_clearance_is_refused_with_live_tokens(shared: Shared) -> None:
    deal = await shared.market(("code", "price"))
    token = await shared.token(deal)
    await clear(shared, 2)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    await clear(shared, 1)
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("CLEARANCE", "4.1.3")])
    assert len(records(await shared.hotel.get(deal.path, token, fields="code"))) == 3


@pytest.mark.parametrize("grade", ["important", "core"])
async def test_4_1_3_important_and_core_data_is_not_shared_whatever_the_clearance(shared: Shared, grade: str) -> None:
    fields: dict[str, Any] = dict(MARKET_SCHEMA["properties"])
    fields["margin"] = fields["margin"] | {"x-grade": grade}
    dataset = await shared.bank.declare(MARKET_SCHEMA | {"properties": fields})
    assert (await shared.bank.upload(dataset, PLACES)).json()["accepted"] == 3
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "margin"]), dataset)
    await clear(shared, 4)
    token = await shared.token(deal)
    refused = await shared.hotel.get(deal.path, token)
    assert (refused.status_code, reasons(refused.json())) == (403, [("CLEARANCE", "4.1.3")])
    assert len(records(await shared.hotel.get(deal.path, token, fields="code"))) == 3

"""The secretariat keeps the files."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from gateway.agreements.tables import agreement, agreement_signature
from gateway.database import Query
from tests.access.world import Shared, records

_REWRITING = (
    update(agreement).values(terms=b"{}"),
    update(agreement_signature).values(jws="another"),
    delete(agreement_signature),
    delete(agreement),
)


async def test_3_3_4_what_was_signed_can_be_neither_rewritten_nor_removed(shared: Shared) -> None:
    deal = await shared.market()
    before = (await shared.hotel.get(f"/v1/agreements/{deal.agreement}", await shared.hotel.token())).json()
    for statement in _REWRITING:
        with pytest.raises(Exception, match="archived"):
            async with shared.gateway.database.transaction() as tx:
                await tx.run(Query(statement))
    assert (await shared.hotel.get(f"/v1/agreements/{deal.agreement}", await shared.hotel.token())).json() == before
    assert records(await shared.hotel.get(deal.path, await shared.token(deal)))

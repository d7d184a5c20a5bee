"""Whoever changes a fact beside the terms that the policy sees moves the agreement's revision in the same change."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from gateway.agreements.tables import agreement
from gateway.database import Query
from gateway.errors import NotFound
from gateway.ledger import Change

_TOUCH = Query(update(agreement).where(agreement.c.id == bindparam("the_id")).values(revision=agreement.c.revision + 1))


async def touch_agreement(change: Change, agreement_id: str) -> None:
    """Make what changed effective at the next call under this agreement; `NotFound` if there is none.

    The change narrows the agreement's owner as well where it takes something away.
    """
    if not await change.tx.run(_TOUCH, the_id=agreement_id):
        raise NotFound

"""Whoever changes a fact of a member that the policy sees moves the member's revision in the same change."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from gateway.database import Query
from gateway.errors import NotFound
from gateway.ledger import Change
from gateway.members.tables import member

_TOUCH = Query(update(member).where(member.c.id == bindparam("the_id")).values(revision=member.c.revision + 1))


async def touch_member(change: Change, member_id: str) -> None:
    """Make what changed effective at the next call of, or on the data of, this member; `NotFound` if there is none.

    The change narrows the owners concerned as well where it takes something away.
    """
    if not await change.tx.run(_TOUCH, the_id=member_id):
        raise NotFound

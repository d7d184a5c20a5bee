"""Which policy an alliance has in force."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text, bindparam, insert, update

from gateway.database import Query, Transaction, metadata

active_policy = Table(
    "active_policy",
    metadata,
    Column("alliance_id", Text, ForeignKey("alliance.id"), primary_key=True),
    Column("digest", Text, nullable=False),
    Column("activated_at", BigInteger, nullable=False),
)

_INSERT = Query(insert(active_policy))
_REPLACE = Query(
    update(active_policy)
    .where(active_policy.c.alliance_id == bindparam("of_alliance"))
    .values(digest=bindparam("new_digest"), activated_at=bindparam("at"))
)


async def activate(tx: Transaction, alliance_id: str, digest: str, now_ms: int) -> None:
    """Put a policy in force, in the transaction that enters it in the ledger."""
    if await tx.run(_REPLACE, of_alliance=alliance_id, new_digest=digest, at=now_ms) == 0:
        await tx.run(_INSERT, alliance_id=alliance_id, digest=digest, activated_at=now_ms)

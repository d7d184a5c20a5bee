"""Legal holds: while a case is not decided, nothing is deleted of the datasets it is about (clauses 3.3.4, 7.2.2).

They block deletion alone. Access is the business of the holds of `agreements`.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, delete, insert

from gateway.catalog.tables import legal_hold
from gateway.database import Query
from gateway.ledger import Change

_KEEP = Query(insert(legal_hold))
_RELEASE = Query(delete(legal_hold).where(legal_hold.c.case_id == bindparam("the_case")))


async def keep(change: Change, case_id: str, datasets: Collection[str]) -> None:
    """Keep what these datasets hold, and held, for a case that was just opened."""
    await change.tx.many(_KEEP, [{"case_id": case_id, "dataset_id": one} for one in sorted(datasets)])


async def release(change: Change, case_id: str) -> None:
    """A case is decided: what is kept for no other one may be deleted again."""
    await change.tx.run(_RELEASE, the_case=case_id)

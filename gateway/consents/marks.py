"""What a permit leaves on the consents that it names, in the transaction of its entry.

The first permit sets `disclosed_at`, so whoever has it set may have received the person's data, and nobody else has;
every permit uses up one of a limited number. Both are durable before anything is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, bindparam, func, select, update

from gateway.consents.tables import consent
from gateway.database import Query, Transaction

UNMARKED, FIRST, COUNTED = 0, 1, 2
"""A consent that needs no mark, one that was disclosed to nobody yet, and one whose uses are counted."""

_MARK = Query(
    update(consent)
    .where(consent.c.id == bindparam("the_id"))
    .values(
        disclosed_at=func.coalesce(consent.c.disclosed_at, bindparam("at", type_=BigInteger)),
        uses_left=consent.c.uses_left - 1,
    )
)
_USES_LEFT = Query(select(consent.c.uses_left).where(consent.c.id == bindparam("id")))


class Marking:
    """The marks of one permit (`gateway.ledger.entries.Marks`); consents of one owner, whose log's head is locked."""

    def __init__(self, first: Sequence[str], counted: Sequence[str]) -> None:
        self._all = sorted([*first, *counted])
        self._counted = counted

    @classmethod
    def of(cls, consents: Iterable[tuple[str, int]]) -> Marking | None:
        """The marks that these consents need, each once however many records it covers; None where none does."""
        needed = {consent_id: mark for consent_id, mark in consents if mark != UNMARKED}
        if not needed:
            return None
        first = [one for one, mark in needed.items() if mark == FIRST]
        return cls(first, [one for one, mark in needed.items() if mark == COUNTED])

    async def stand(self, tx: Transaction) -> bool:
        """Whether every counted consent has a use left."""
        for consent_id in self._counted:
            row = await tx.one(_USES_LEFT, id=consent_id)
            if row is None or (row["uses_left"] is not None and row["uses_left"] <= 0):
                return False
        return True

    async def write(self, tx: Transaction, now_ms: int) -> None:
        """Set when each was first disclosed, and count one use of each that is counted."""
        await tx.many(_MARK, [{"the_id": consent_id, "at": now_ms} for consent_id in self._all])

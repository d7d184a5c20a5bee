"""How often one number or address is written to, for each use: once a minute, five times a day, on all processes.

Codes of all visits are one use, links of the page's own entry another, and each member's requests one of their own.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, bindparam, case, delete, insert, or_, update

from gateway.clock import Clock
from gateway.consents.asking.tables import written_to
from gateway.consents.contacts import Address, BlindIndex
from gateway.database import AlreadyExists, Database, Query, Transaction

PAUSE_MS: Final = 60 * 1000
MOST_A_DAY: Final = 5
DAY_MS: Final = 24 * 60 * 60 * 1000

_now = bindparam("now", type_=BigInteger)
_day_over = written_to.c.since <= bindparam("yesterday", type_=BigInteger)
_TAKE = Query(
    update(written_to)
    .values(
        since=case((_day_over, _now), else_=written_to.c.since),
        count=case((_day_over, 1), else_=written_to.c.count + 1),
        last_at=_now,
    )
    .where(
        written_to.c.use == bindparam("of_use"),
        written_to.c.term == bindparam("of_term"),
        written_to.c.last_at <= bindparam("a_minute_ago", type_=BigInteger),
        or_(_day_over, written_to.c.count < MOST_A_DAY),
    )
)
_BEGIN = Query(insert(written_to))
_FORGET = Query(delete(written_to).where(written_to.c.last_at < bindparam("before", type_=BigInteger)))


class Budget:
    """Counts durably: many processes and connections together get no more than one, and none more by a renewed key."""

    def __init__(self, database: Database, index: BlindIndex, clock: Clock) -> None:
        self._database = database
        self._index = index
        self._clock = clock

    async def take(self, use: str, address: Address) -> bool:
        """Take one message of a use; False where the last is too fresh or the day's are spent."""
        term = await self._index.lasting_term(f"budget {address.channel}", address.text)
        now = self._clock()
        when = {"now": now, "yesterday": now - DAY_MS, "a_minute_ago": now - PAUSE_MS}
        async with self._database.transaction() as tx:
            if await tx.run(_TAKE, of_use=use, of_term=term, **when):
                return True
        try:
            async with self._database.transaction() as tx:
                await tx.run(_BEGIN, use=use, term=term, since=now, last_at=now, count=1)
        except AlreadyExists:
            return False
        return True


async def forget(tx: Transaction, now_ms: int) -> None:
    """Drop what no limit depends on any more."""
    await tx.run(_FORGET, before=now_ms - DAY_MS)

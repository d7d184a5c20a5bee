"""How often something may happen, counted in the transaction that enters it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, update

from gateway.database import Query, Transaction
from gateway.errors import Reason
from gateway.ledger.entries import Quota
from gateway.ledger.tables import quota as quota_table

_USED = Query(
    select(quota_table.c.used)
    .where(quota_table.c.key == bindparam("the_key"), quota_table.c.window_start == bindparam("window"))
    .with_for_update()
)
_OPEN_WINDOW = Query(insert(quota_table))
_before = quota_table.alias("before")
_DROP_WINDOWS = Query(
    delete(quota_table).where(
        quota_table.c.key == bindparam("the_key"),
        quota_table.c.window_start
        < select(func.max(_before.c.window_start))
        .where(_before.c.key == bindparam("the_key"), _before.c.window_start < bindparam("window"))
        .scalar_subquery(),
    )
)
_COUNT = Query(
    update(quota_table)
    .where(quota_table.c.key == bindparam("the_key"), quota_table.c.window_start == bindparam("window"))
    .values(used=bindparam("now_used", type_=BigInteger))
)


class Quotas:
    """Counts read once under their lock, advanced in memory, written once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._used: dict[tuple[str, int], int] = {}
        self._stored: dict[tuple[str, int], int | None] = {}

    async def take(self, quotas: Sequence[Quota]) -> tuple[Reason, ...]:
        """Count every amount if all of them still fit; else none, and return the reasons of those that do not.

        The quotas of one entry have distinct keys.
        """
        spent = [quota.reason for quota in quotas if await self._used_of(quota) + quota.amount > quota.limit]
        if not spent:
            for quota in quotas:
                self._used[quota.key, quota.window_start] += quota.amount
        return tuple(spent)

    async def _used_of(self, quota: Quota) -> int:
        place = quota.key, quota.window_start
        if place not in self._used:
            row = await self._tx.one(_USED, the_key=quota.key, window=quota.window_start)
            self._stored[place] = None if row is None else row["used"]
            self._used[place] = self._stored[place] or 0
        return self._used[place]

    async def write(self) -> None:
        """Store what was taken; a new window drops the key's older ones, except for the one before.

        What was judged at the end of a window may come after the next one has begun, and must not find it empty.
        """
        for (key, window), used in self._used.items():
            stored = self._stored[key, window]
            if used == (stored or 0):
                continue
            if stored is None:
                await self._tx.run(_DROP_WINDOWS, the_key=key, window=window)
                await self._tx.run(_OPEN_WINDOW, key=key, window_start=window, used=used)
            else:
                await self._tx.run(_COUNT, the_key=key, window=window, now_used=used)

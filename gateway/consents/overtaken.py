"""What the clock has ended is recorded: its event, its end in the row that reads join, word to whoever received it.

Late by any time, it changes nothing about what is permitted: reads and `Record.effective` go by the clock themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from time import monotonic

from sqlalchemy import BigInteger, Text, bindparam, not_, select, union

from gateway.clock import Clock, seconds
from gateway.consents.entries import overtaken_entry
from gateway.consents.records import CLOCK, Records
from gateway.consents.tables import consent, consent_record
from gateway.database import Database, Query
from gateway.errors import GatewayError
from gateway.ledger import Ledger

_AT_ONCE = 50
_LONGEST_TRANSACTION_S = 0.04
_OWNER_CAN_BE_WRITTEN = not_(bindparam("held_up", type_=Text).contains(consent_record.c.owner_id))
_PAST = (
    select(consent_record.c.id, consent_record.c.owner_id)
    .where(consent_record.c.due_at <= bindparam("now", type_=BigInteger), _OWNER_CAN_BE_WRITTEN)
    .order_by(consent_record.c.due_at)
    .limit(_AT_ONCE)
    .subquery()
)
_USED_UP = (
    select(consent_record.c.id, consent_record.c.owner_id)
    .join(consent, consent.c.id == consent_record.c.id)
    .where(consent.c.uses_left == 0, consent.c.ended_at.is_(None), _OWNER_CAN_BE_WRITTEN)
    .limit(_AT_ONCE)
    .subquery()
)
_DUE = Query(union(select(_PAST), select(_USED_UP)))
"""Each half is cut off by itself: where a new notice made a million stale, nobody sorts them for the next fifty."""


class Overtaken:
    """Every server does this, and each step is recorded once."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, records: Records) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._records = records

    async def settle(self) -> int:
        """Record what is due, in short transactions; returns how many records took a step.

        A log that cannot be written holds up its owner's records alone: the rest is done before its error is raised.
        """
        settled = 0
        held_up: dict[str, GatewayError] = {}
        while found := await self._due(held_up):
            moved = 0
            for owner, ids in found.items():
                try:
                    moved += await self._settle(owner, ids)
                except GatewayError as error:
                    held_up[owner] = error
            settled += moved
            if not moved and not held_up.keys() & found.keys():
                break
        for refusal in held_up.values():
            raise refusal
        return settled

    async def _due(self, held_up: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Ids of records that are due, by owner."""
        by_owner: dict[str, list[str]] = defaultdict(list)
        for row in await self._database.all(_DUE, now=seconds(self._clock()), held_up=" ".join(held_up)):
            by_owner[row["owner_id"]].append(row["id"])
        return by_owner

    async def _settle(self, owner: str, ids: Sequence[str]) -> int:
        """Record as many as fit in one short transaction, at least one; what is left is found again."""
        async with self._ledger.changing(owner, narrows={owner}) as change:
            moved: list[str] = []
            deadline = monotonic() + _LONGEST_TRANSACTION_S
            for record_id in ids:
                if moved and monotonic() > deadline:
                    break
                record = await self._records.get(change.tx, record_id)
                assert record is not None
                if (await self._records.catch_up(change, record)).sequence != record.sequence:
                    moved.append(record_id)
            if moved:
                change.enter(overtaken_entry(owner, CLOCK, sorted(moved)))
        return len(moved)

"""Brings the records of a decided batch to where the batch stands: given, or invalidated; and buries broken imports.

It may be stopped at any point and run again, by any number of processes: each record takes its step under the lock of
the owner's log, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

from sqlalchemy import BigInteger, bindparam, or_, select, update

from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import Clock, seconds
from gateway.consents.offline.batch import Batch, BatchState, abandon_paused, existing
from gateway.consents.offline.tables import offline_batch, offline_row
from gateway.consents.record import in_states
from gateway.consents.records import Records
from gateway.consents.states import STANDING, Event, State
from gateway.consents.tables import consent_record
from gateway.database import Database, Query, Row
from gateway.errors import Conflicting, GatewayError, Invalid
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.problems import log_unexpected

_LONGEST_TRANSACTION_S: Final = 0.04
_AT_ONCE: Final = 200
_WAITING: Final = frozenset({State.IMPORTED})
_FOLLOWING: Final = {
    BatchState.FAILED: _WAITING | STANDING,
    BatchState.ACCEPTED: _WAITING,
    BatchState.INVALIDATED: _WAITING | STANDING,
}
"""The states in which a batch is decided, and for each those from which its records have yet to follow."""
_BY_GATEWAY: Final = {"gateway": "offline"}
_UNSETTLED = Query(
    select(offline_batch, dataset_table.c.id.label("dataset_id"))
    .join(dataset_table, dataset_table.c.no == offline_batch.c.dataset_no)
    .where(
        offline_batch.c.settled_at.is_(None),
        or_(*(offline_batch.c.state == state.value for state in _FOLLOWING)),
    )
)
_OF_BATCH = (
    select(offline_row.c.line, offline_row.c.verdict, consent_record.c.id, consent_record.c.state)
    .join(consent_record, consent_record.c.id == offline_row.c.record_id)
    .where(offline_row.c.batch_id == bindparam("batch"), offline_row.c.line > bindparam("after", type_=BigInteger))
    .order_by(offline_row.c.line)
    .limit(_AT_ONCE)
)
_TO_FOLLOW = {state: Query(_OF_BATCH.where(in_states(sorted(following)))) for state, following in _FOLLOWING.items()}
_SETTLED = Query(
    update(offline_batch)
    .values(settled_at=bindparam("at", type_=BigInteger))
    .where(
        offline_batch.c.id == bindparam("the_id"),
        offline_batch.c.state == bindparam("in_state"),
        offline_batch.c.settled_at.is_(None),
    )
)


class Settling:
    """Follows what was decided, record by record."""

    def __init__(self, database: Database, ledger: Ledger, records: Records, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._records = records
        self._clock = clock

    async def run(self) -> int:
        """Settle every batch that was decided; returns how many records took a step.

        What keeps one from being settled, such as a log that cannot be written, is logged, and tried at the next run.
        """
        async with self._database.transaction() as tx:
            await abandon_paused(tx, self._clock())
        done = 0
        for row in await self._database.all(_UNSETTLED):
            try:
                done += await self._settle(Batch.of(row))
            except GatewayError as error:
                log_unexpected(error, "while settling paper")
        return done

    async def _settle(self, of: Batch) -> int:
        done, after = 0, -1
        while rows := await self._database.all(_TO_FOLLOW[of.state], batch=of.id, after=after):
            taken = await self._take_steps(of, rows)
            if not taken:
                return done
            done, after = done + taken, rows[taken - 1]["line"]
        async with self._ledger.changing(of.owner) as change:
            if await change.tx.run(_SETTLED, the_id=of.id, in_state=of.state.value, at=change.now_ms):
                facts = {"act": "offline_batch_settled", "batch": of.id, "dataset": of.dataset, "state": of.state.value}
                change.enter(Draft(log=of.owner, kind=Kind.CONSENT, facts=facts))
        return done

    async def _take_steps(self, of: Batch, rows: Sequence[Row]) -> int:
        """Take as many steps as fit in one short transaction; none of a batch that was decided anew meanwhile."""
        taken = 0
        async with self._ledger.changing(of.owner, narrows={of.owner}) as change:
            if (await existing(change.tx, of.id)).state is not of.state:
                return 0
            deadline = monotonic() + _LONGEST_TRANSACTION_S
            for row in rows:
                await self._take_step(change, of, row)
                taken += 1
                if monotonic() > deadline:
                    break
                await asyncio.sleep(0)
        return taken

    async def _take_step(self, change: Change, of: Batch, row: Row) -> None:
        """Confirm or invalidate; what the clock, the person or another server has moved on meanwhile stays there."""
        record = await self._records.get(change.tx, row["id"])
        assert record is not None
        if record.effective(seconds(change.now_ms)) not in _FOLLOWING[of.state]:
            return
        details = {"batch": of.id}
        if of.state is BatchState.ACCEPTED and row["verdict"] != "bad":
            try:
                await self._records.act(change, record.id, Event.CONFIRM, actor=_BY_GATEWAY, details={"sample": of.id})
            except (Conflicting, Invalid) as obstacle:  # a newer decision, or a newer notice, stands in the way
                details["because"] = obstacle.code
            else:
                return
        await self._records.act(change, record.id, Event.INVALIDATE, actor=_BY_GATEWAY, details=details)

"""A change of state that commits together with its own entries, under the locks of the logs it concerns.

Everything that narrows (withdrawal, hold, revocation, termination) goes this way: the narrowing number of
every owner concerned moves in the same transaction, so no permit judged by the older state follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from sqlalchemy import bindparam, insert, select, update

from gateway.database import Database, Query, Transaction
from gateway.errors import GatewayError, Invalid
from gateway.identifiers import event_id
from gateway.ledger.appending import Appended, Appender, Head
from gateway.ledger.bodies import Prepared
from gateway.ledger.committer import is_durable
from gateway.ledger.entries import Draft
from gateway.ledger.errors import UnknownLog
from gateway.ledger.tables import checkpoint, head, log

_ORIGIN = Query(select(log.c.origin).where(log.c.id == bindparam("log")))
_OPEN_LOG = Query(insert(log))
_OPEN_HEAD = Query(insert(head))
_OPEN_CHECKPOINT = Query(insert(checkpoint))
_NARROW = Query(update(head).where(head.c.log_id == bindparam("log")).values(narrowing=head.c.narrowing + 1))

Prepare = Callable[[Draft, str, str], Prepared]
"""Prepare a draft, given its event id and its log's origin."""


class Change:
    """One transaction under way: `tx` to change state with, `now_ms` its instant, `enter` for its entries.

    `narrows` are the owners whose narrowing number it moves.
    """

    def __init__(
        self,
        tx: Transaction,
        now_ms: int,
        heads: dict[str, Head],
        prepare: Prepare,
        origin: Callable[[str], str],
        narrows: Collection[str] = (),
    ) -> None:
        self.tx = tx
        self.now_ms = now_ms
        self.narrows = narrows
        self._heads = heads
        self._prepare = prepare
        self._origin = origin
        self._drafts: list[tuple[Draft, str]] = []

    def enter(self, draft: Draft) -> str:
        """Append this entry when the block ends; returns its event id.

        Raises:
            UnknownLog: The change neither named nor opened the log.
            Invalid: The draft opens, counts or signs something: that goes through `Ledger.record`.
        """
        if draft.log not in self._heads:
            raise UnknownLog
        given = {"opening": draft.opening, "quotas": draft.quotas, "signing": draft.signing}
        for name, value in given.items():
            if value:
                raise Invalid("not_a_change", "A change opens, counts and signs nothing.", field=f"/{name}")
        event = draft.event_id or event_id(self.now_ms)
        self._drafts.append((draft, event))
        return event

    async def open_log(self, log: str) -> None:
        """A new, empty log, whose entries this change may already write."""
        await self.tx.run(_OPEN_LOG, id=log, origin=self._origin(log), created_at=self.now_ms)
        await self.tx.run(_OPEN_HEAD, log_id=log, size=0, narrowing=0, last_time=0)
        await self.tx.run(_OPEN_CHECKPOINT, log_id=log, size=0, note=b"", signed_at=0)
        self._heads[log] = Head(log, 0, 0, 0)

    async def _append(self, appender: Appender) -> list[Appended | GatewayError]:
        entries = []
        for draft, event in self._drafts:
            row = await self.tx.one(_ORIGIN, log=draft.log)
            if row is None:
                raise UnknownLog
            entries.append(self._prepare(draft, event, row["origin"]))
        answers = await appender.append(self.tx, self._heads, entries, now_ms=self.now_ms) if entries else []
        for answer in answers:
            if isinstance(answer, GatewayError):
                raise answer
        return answers


@asynccontextmanager
async def changing(
    database: Database,
    appender: Appender,
    prepare: Prepare,
    origin: Callable[[str], str],
    *,
    logs: Collection[str],
    narrows: Collection[str],
) -> AsyncIterator[Change]:
    """See `Ledger.changing`."""
    await appender.enrol(database)
    answers: list[Appended | GatewayError] = []
    try:
        async with database.transaction() as tx:
            heads = await appender.lock(tx, {*logs, *narrows})
            if not heads.keys() >= {*logs, *narrows}:
                raise UnknownLog
            for owner in sorted(narrows):
                await tx.run(_NARROW, log=owner)
                heads[owner].narrowing += 1
            change = Change(tx, appender.instant(heads.values()), heads, prepare, origin, narrows)
            yield change
            answers = await change._append(appender)
    except Exception:
        if not await is_durable(database, answers):
            raise
    appender.remember(answers)

"""What happened? The ledger answers for every access and every change, and lets nothing open before it has.

One log per data owner and one for the operator. An entry is durable before anyone hears of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager

from sqlalchemy import bindparam, select

from gateway.clock import Clock
from gateway.database import Database, DatabaseUnavailable, Query
from gateway.identifiers import event_id, random_id
from gateway.ledger import tables
from gateway.ledger.appending import Appender
from gateway.ledger.bodies import Prepared, prepare
from gateway.ledger.change import Change, changing
from gateway.ledger.committer import CAPACITY, Committer
from gateway.ledger.entries import Draft, Recorded
from gateway.ledger.errors import LedgerRolledBack, LedgerUnavailable, OlderDatabase, UnknownLog

_ORIGIN = Query(select(tables.log.c.origin).where(tables.log.c.id == bindparam("log")))
_NARROWING = Query(select(tables.head.c.narrowing).where(tables.head.c.log_id == bindparam("log")))


class Ledger:
    """The append-only record. One per process; `close` it before the database.

    `origin` is the first part of every log's origin (`alliance.example` gives `alliance.example/<log id>`),
    without spaces or plus signs. `node` names this process in the chain of its entries: stable over
    restarts, and never shared by two processes that run at once, or they wait for each other. A log in
    `incidents` (shared with the `Integrator`) is not written to: what an older database has forgotten, a
    withdrawal perhaps, must not be overwritten. Where one log shows that the database is an older one, none is:
    what another log's access depends on may be forgotten too, and its entries would be lost with this database.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        origin: str,
        node: str,
        capacity: int = CAPACITY,
        incidents: Mapping[str, LedgerRolledBack] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._origin = origin
        self._node = node
        self._boot_id = random_id()
        self._appender = Appender(clock, node=node, boot_id=self._boot_id)
        self._committer = Committer(database, self._appender, capacity=capacity)
        self._origins: dict[str, str] = {}
        self._incidents = {} if incidents is None else incidents

    async def record(self, draft: Draft) -> Recorded:
        """Append one entry; return only once it is durable, with the warrant that a permit yields.

        Entries that arrive together share a transaction. If the process stops here, the entry may stand
        without anyone having been answered; never the other way round. Do not call it inside `changing`.

        Raises:
            StaleJudgement: The owner's narrowing number moved, or `valid_until_ms` passed: decide again.
            LedgerUnavailable: Queue full, database away, or closed.
            LedgerRolledBack: The database is older than what was signed.
            ClockBehind: This machine's clock is too far behind the log.
            UnknownLog: There is no such log.
            UsedBefore: What the draft names under `once` was used before.
            Invalid: The draft breaks a rule of `Draft`, or its event id is recorded already (`Conflicting`).
            TooLarge: The body would reach 8 KiB.
            Exception: What the draft's `signing` raised; the entry stands, and nobody has been answered.
        """
        self._refuse_rolled_back((draft.log,))
        origin = self._origins.get(draft.log) or await self._load_origin(draft.log)
        entry = self._prepare(draft, event_id(self._clock()), origin)
        return await self._committer.enqueue(entry)

    def changing(self, *logs: str, narrows: Collection[str] = ()) -> AbstractAsyncContextManager[Change]:
        """A change of state and its entries, in one transaction.

        Locks the heads of `logs` and `narrows` in the order of their ids, bumps the narrowing number of
        `narrows`, runs the block, appends what it entered, commits. An error in the block undoes all of it.
        Keep the block short, and inside it use `change.tx` alone.

        Raises:
            UnknownLog: A log named here does not exist.
            ClockBehind: This machine's clock is too far behind one of the logs.
            DatabaseUnavailable: Nothing was changed.
        """
        self._refuse_rolled_back({*logs, *narrows})
        return changing(
            self._database, self._appender, self._prepare, self.origin_of, logs=logs, narrows=frozenset(narrows)
        )

    async def narrowing(self, log: str) -> int:
        """How often this owner's data has been narrowed; a permit names the number it was judged by."""
        row = await self._database.one(_NARROWING, log=log)
        if row is None:
            raise UnknownLog
        return int(row["narrowing"])

    def origin_of(self, log: str) -> str:
        """The origin that a log of this id is opened with."""
        return f"{self._origin}/{log}"

    async def close(self) -> None:
        """Commit what waits, then refuse."""
        await self._committer.close()

    def _refuse_rolled_back(self, logs: Collection[str]) -> None:
        for log, incident in self._incidents.items():
            if log in logs or isinstance(incident, OlderDatabase):
                raise LedgerRolledBack(incident.detail)

    def _prepare(self, draft: Draft, event: str, origin: str) -> Prepared:
        return prepare(draft, event_id=event, origin=origin, node=self._node, boot_id=self._boot_id)

    async def _load_origin(self, log: str) -> str:
        try:
            row = await self._database.one(_ORIGIN, log=log)
        except DatabaseUnavailable:
            raise LedgerUnavailable from None
        if row is None:
            raise UnknownLog
        self._origins[log] = row["origin"]
        return str(row["origin"])

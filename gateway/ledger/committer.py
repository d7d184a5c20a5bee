"""Group commit: one task appends whatever gathered during the previous flush.

Nothing is answered before its entry is durable, and nothing is dropped: a full queue refuses. There is no
timer: a batch waits while the event loop still brings it entries, which it does not do when idle. The task ends when
nobody waits, and the next entry starts it again. If it dies, everyone who
waits fails, and so does every later entry until a new task can run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from gateway.database import Database, DatabaseUnavailable
from gateway.errors import GatewayError
from gateway.ledger.appending import Appended, Appender, is_recorded, lock_heads
from gateway.ledger.bodies import Prepared
from gateway.ledger.entries import Recorded
from gateway.ledger.errors import LedgerUnavailable

CAPACITY = 4096
"""How many entries may wait before the ledger refuses."""

BATCH = 512
"""How many entries one transaction appends at most."""

ENOUGH = 64
"""How many entries are worth a transaction at once: with more, each would hardly be cheaper."""

QUIET_TURNS = 4
"""A batch is complete once nobody has joined it for so many turns of the event loop, which take microseconds then."""

LOOKUP_PATIENCE_S = 10.0
"""How long an unknown commit is looked up before its waiters are refused."""

_LOOKUP_PAUSE_S = 0.1
_log = logging.getLogger(__name__)

_Waiter = tuple[Prepared, "asyncio.Future[Recorded]"]


class Committer:
    """The one writer of entries in this process."""

    def __init__(self, database: Database, appender: Appender, *, capacity: int = CAPACITY) -> None:
        self._database = database
        self._appender = appender
        self._capacity = capacity
        self._waiting: deque[_Waiter] = deque()
        self._batch: list[_Waiter] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def enqueue(self, entry: Prepared) -> asyncio.Future[Recorded]:
        """Queue an entry; the future is settled once it is durable, or with what kept it out.

        A durable entry that nothing could be signed for is settled with what its `signing` raised.

        A waiter that goes away leaves its entry behind: the ledger may claim more than was received.

        Raises:
            LedgerUnavailable: The queue is full or the ledger is closed.
        """
        if self._closed or len(self._waiting) >= self._capacity:
            raise LedgerUnavailable
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Recorded] = loop.create_future()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._fail_rest()
            self._task = loop.create_task(self._commit_all(), name="ledger-committer")
            self._task.add_done_callback(self._ended)
        self._waiting.append((entry, answer))
        return answer

    async def close(self) -> None:
        """Commit what waits, then refuse everything."""
        self._closed = True
        task = self._task
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([task])

    async def _commit_all(self) -> None:
        while self._waiting:
            await self._gather()
            self._batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            _settle(self._batch, await self._commit([entry for entry, _ in self._batch]))

    async def _gather(self) -> None:
        """Let whoever is on the way to the ledger join this batch.

        Those whom the batch before it answered are usually back before this one begins. Requests that come together
        go on together then, for a tenth less (`bench/README.md`), instead of in two halves that wait for each other.
        """
        quiet = 0
        while quiet < QUIET_TURNS and len(self._waiting) < ENOUGH:
            joined = len(self._waiting)
            await asyncio.sleep(0)
            quiet = 0 if len(self._waiting) > joined else quiet + 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is self._task:
            self._fail_rest()

    def _fail_rest(self) -> None:
        """Nobody is left after a task that ended well; after one that died, everyone who waits fails."""
        _settle([*self._batch, *self._waiting], None)
        self._batch = []
        self._waiting.clear()

    async def _commit(self, entries: Sequence[Prepared]) -> Sequence[Appended | GatewayError] | None:
        """Append in one transaction. Every `Appended` returned is durable; without an answer nothing can be said."""
        answers: Sequence[Appended | GatewayError] = ()
        try:
            await self._appender.enrol(self._database)
            async with self._database.transaction() as tx:
                heads = await self._appender.lock(tx, {entry.draft.log for entry in entries})
                answers = await self._appender.append(tx, heads, entries)
                asyncio.get_running_loop().call_soon(_sign, answers)
        except Exception as error:
            if not await is_durable(self._database, answers):
                _log.warning("Nothing of a batch of %d was appended: %s", len(entries), type(error).__name__)
                return None
        self._appender.remember(answers)
        return answers


async def is_durable(database: Database, answers: Sequence[Appended | GatewayError]) -> bool:
    """Whether a transaction that failed around its COMMIT took effect. It did as a whole or not at all.

    The lock on a head that the lost transaction held makes sure that it has ended. While the database
    is away this tries again, for a bounded time; then nobody is answered, and nothing is appended twice.
    """
    first = next((answer for answer in answers if isinstance(answer, Appended)), None)
    if first is None:
        return False
    deadline = asyncio.get_running_loop().time() + LOOKUP_PATIENCE_S
    while True:
        try:
            async with database.transaction() as tx:
                await lock_heads(tx, [first.entry.draft.log])
                return await is_recorded(tx, first.entry.event_id)
        except DatabaseUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                return False
        await asyncio.sleep(_LOOKUP_PAUSE_S)


def _sign(answers: Sequence[Appended | GatewayError]) -> None:
    """Sign for the entries of a batch while the disk takes them: nobody has anything of it before `_settle`.

    Who cannot sign is tried once more there, and its waiter told.
    """
    for answer in answers:
        if isinstance(answer, Appended):
            with suppress(Exception):
                answer.sign()


def _settle(batch: Sequence[_Waiter], answers: Sequence[Appended | GatewayError] | None) -> None:
    """Answer each waiter that is still there; warrants are minted here, after the commit.

    Whatever keeps one from its answer is told to it alone: the entries of its neighbours are as durable as before.
    """
    for place, (_, waiter) in enumerate(batch):
        if waiter.done() or waiter.get_loop().is_closed():
            continue
        try:
            waiter.set_result(_outcome(LedgerUnavailable() if answers is None else answers[place]))
        except Exception as error:
            waiter.set_exception(error)


def _outcome(answer: Appended | GatewayError) -> Recorded:
    if isinstance(answer, GatewayError):
        raise answer
    return answer.recorded()

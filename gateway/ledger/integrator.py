"""Turns what is durable into what is signed, at most a second behind.

For each log with new entries: store the roots of newly completed subtrees, check that the tree extends
everything signed before (in the database and outside it), sign, write the copy outside, publish. The
order matters: a process that stops anywhere leaves a copy outside that is never older than what was
published. An older database is never signed; that is an incident for people.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from sqlalchemy import BigInteger, LargeBinary, bindparam, func, insert, select, update

from gateway.clock import Clock
from gateway.database import AlreadyExists, Database, Query, Row
from gateway.errors import Conflicting
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.errors import LedgerRolledBack, LedgerUnavailable, OlderDatabase
from gateway.ledger.note import NoteRejected, Signer, VerifierKey
from gateway.ledger.outside import HeldHead, OutsideHeads
from gateway.ledger.proofs import complete_root, root
from gateway.ledger.stored import LogState, StoredHashes, state
from gateway.ledger.tables import checkpoint, head, node

INTERVAL_S = 0.5
"""The pause between two rounds over the logs that have grown."""
STUCK_AFTER_S = 30.0
"""So long without a round in which whatever grew was signed is told by `check`."""

_WIDTH = 256
_LEVEL_BITS = 8
_BLOCKS = 16  # completed subtrees stored by one transaction
_ATTEMPTS = 5  # another host may publish first
_log = logging.getLogger(__name__)

_ALL = Query(
    select(head.c.log_id, head.c.size, checkpoint.c.size.label("signed_size"), checkpoint.c.note)
    .join(checkpoint, checkpoint.c.log_id == head.c.log_id)
    .order_by(head.c.log_id)
)
_NEWEST_NODE = Query(
    select(func.max(node.c.idx)).where(node.c.log_id == bindparam("log"), node.c.level == bindparam("level"))
)
_INSERT_NODE = Query(insert(node))
_PUBLISH = Query(
    update(checkpoint)
    .where(
        checkpoint.c.log_id == bindparam("log"),
        checkpoint.c.size == bindparam("old_size", type_=BigInteger),
        checkpoint.c.note == bindparam("old_note", type_=LargeBinary),
    )
    .values(
        size=bindparam("new_size", type_=BigInteger),
        note=bindparam("new_note", type_=LargeBinary),
        signed_at=bindparam("now", type_=BigInteger),
    )
)


class Integrator:
    """Signs the logs of one database. `signers` gives a log's key; `heads` is a directory outside the database.

    `incidents` is where a log that is refused stands with the reason; a `Ledger` that shares it refuses entries too,
    and those of every log where the reason is an `OlderDatabase`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        signers: Callable[[str], Awaitable[Signer]],
        heads: Path,
        *,
        incidents: dict[str, LedgerRolledBack] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._signers = signers
        self._outside = OutsideHeads(heads)
        self._incidents = {} if incidents is None else incidents
        self._largest: dict[str, int] = {}
        self._round_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def incidents(self) -> Mapping[str, LedgerRolledBack]:
        """The logs that are refused now, and why."""
        return self._incidents

    def check(self) -> None:
        """Raise what is wrong with the logs: an older database, or one that has not been signed for a while."""
        for incident in self._incidents.values():
            raise LedgerRolledBack(incident.detail)
        if self._task is not None and time.monotonic() - self._round_at > STUCK_AFTER_S:
            raise LedgerUnavailable("The logs have not been signed for a while.")

    async def integrate(self, log: str) -> bytes:
        """Sign everything durable in one log and return its checkpoint.

        Raises:
            LedgerRolledBack: The database does not hold what was signed before. Nothing is signed.
            LedgerUnavailable: Another process keeps the log's lock, or keeps publishing first.
            UnknownLog, DatabaseUnavailable: As they say.
        """
        try:
            note = await self._integrate(log)
        except LedgerRolledBack as incident:
            self._report(log, incident)
            raise
        self._incidents.pop(log, None)
        return note

    def _report(self, log: str, incident: LedgerRolledBack) -> None:
        """Keep what is wrong with a log until it is signed again, or is found to show an older database."""
        known = self._incidents.get(log)
        if known is None or (isinstance(incident, OlderDatabase) and not isinstance(known, OlderDatabase)):
            self._incidents[log] = incident
            _log.critical("Log %s is not signed: %s", log, incident.detail)

    async def integrate_all(self, *, grown_only: bool = False) -> bool:
        """Integrate every log, or those that have grown, shrunk or are refused; trouble with one stops no other.

        False where one could not be signed for another reason than an incident.
        """
        well = True
        for row in await self._database.all(_ALL):
            if not self._needs_a_look(row) and grown_only:
                continue
            try:
                await self.integrate(row["log_id"])
            except LedgerRolledBack:  # reported by `integrate`
                continue
            except Exception:
                _log.exception("Log %s could not be integrated; it is tried again.", row["log_id"])
                well = False
        return well

    def _needs_a_look(self, row: Row) -> bool:
        largest = self._largest.get(row["log_id"], 0)
        self._largest[row["log_id"]] = max(largest, row["size"])
        differs = row["size"] != row["signed_size"] or not row["note"] or row["size"] < largest
        return differs or row["log_id"] in self._incidents

    async def adopt(self, log: str, on_record: Callable[[int], Awaitable[object]]) -> None:
        """Take the database's signed head as the copy outside, where that copy is missing (a new host, a lost disk).

        An operator's decision: from here on, everything older than this head is refused. `on_record` is given the
        head's size and enters the decision, once the head is found to hold and before it is taken.

        Raises:
            Conflicting: Nothing has been signed yet.
            LedgerRolledBack: A copy is there, or the database's own head does not hold.
        """
        key = _key_of(await self._signers(log))
        async with self._outside.held(log) as outside:
            now = await state(self._database, log)
            if await outside.read() is not None:
                raise LedgerRolledBack("There is a copy outside the database; it is not replaced.")
            if not now.note:
                raise Conflicting("nothing_signed", "Nothing of this log has been signed: there is no head to adopt.")
            await self._check_extends(now, now.note, key, "the database's own head")
            await on_record(now.signed_size)
            await outside.write(now.note)

    def start(self) -> None:
        """Integrate in the background until `close`, starting with a look at every log."""
        self._round_at = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ledger-integrator")

    async def close(self) -> None:
        """Stop; a checkpoint under way may be left for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        grown_only, this = False, asyncio.current_task()
        assert this is not None
        while not this.cancelling():  # whatever the database has made of a cancellation
            try:
                if await self.integrate_all(grown_only=grown_only):
                    self._round_at = time.monotonic()
                grown_only = True
            except Exception as error:  # the loop outlives whatever the database does
                _log.warning("The logs could not be read (%s); they are integrated later.", type(error).__name__)
            await asyncio.sleep(INTERVAL_S)

    async def _integrate(self, log: str) -> bytes:
        signer = await self._signers(log)
        key = _key_of(signer)
        async with self._outside.held(log) as outside:
            for _ in range(_ATTEMPTS):
                now = await state(self._database, log)  # read under the lock: never behind the copy
                await self._store_nodes(now)
                await self._check(now, outside, key)
                if now.note and now.signed_size == now.size:
                    return now.note
                new = Checkpoint(now.origin, now.size, await root(StoredHashes(self._database, log), now.size))
                note = new.signed(signer)
                await outside.write(note)
                if await self._publish(now, note):
                    return note
        raise LedgerUnavailable("Another process keeps publishing first.")

    async def _store_nodes(self, now: LogState) -> None:
        """Store the roots of every complete subtree of 256**level leaves that is not stored yet."""
        reader = StoredHashes(self._database, now.log)
        level = 1
        while complete := now.size >> _LEVEL_BITS * level:
            while (stored := await self._stored(now.log, level)) < complete:
                count = min(_BLOCKS, complete - stored)
                below = await reader.hashes(level - 1, stored * _WIDTH, count * _WIDTH)
                roots = await asyncio.to_thread(_block_roots, below)
                rows = [
                    {"log_id": now.log, "level": level, "idx": stored + place, "hash": digest}
                    for place, digest in enumerate(roots)
                ]
                try:
                    async with self._database.transaction() as tx:
                        await tx.many(_INSERT_NODE, rows)
                except AlreadyExists:  # another host was first, with the same values
                    continue
            level += 1

    async def _stored(self, log: str, level: int) -> int:
        row = await self._database.one(_NEWEST_NODE, log=log, level=level)
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    async def _check(self, now: LogState, outside: HeldHead, key: VerifierKey) -> None:
        copy = await outside.read()
        if copy is not None:
            await self._check_extends(now, copy, key, "the head kept outside the database")
        elif now.note:
            raise LedgerRolledBack("The copy of the last signed head outside the database is missing.")
        if now.note and now.note != copy:
            await self._check_extends(now, now.note, key, "the database's own head")

    async def _check_extends(self, now: LogState, note: bytes, key: VerifierKey, which: str) -> None:
        try:
            signed = Checkpoint.verify(note, key)
        except NoteRejected as error:
            raise LedgerRolledBack(f"The signature of {which} does not hold.") from error
        if signed.origin != now.origin or signed.size > now.size:
            raise OlderDatabase(f"The database is older than {which}.")
        if await root(StoredHashes(self._database, now.log), signed.size) != signed.root:
            raise OlderDatabase(f"The database does not extend {which}.")

    async def _publish(self, now: LogState, note: bytes) -> bool:
        """Compare and swap: False when another host has published meanwhile."""
        async with self._database.transaction() as tx:
            changed = await tx.run(
                _PUBLISH,
                log=now.log,
                old_size=now.signed_size,
                old_note=now.note,
                new_size=now.size,
                new_note=note,
                now=self._clock(),
            )
        return changed == 1


def _key_of(signer: Signer) -> VerifierKey:
    return VerifierKey(signer.name, signer.public_key)


def _block_roots(hashes: list[bytes]) -> list[bytes]:
    return [complete_root(hashes[first : first + _WIDTH]) for first in range(0, len(hashes), _WIDTH)]

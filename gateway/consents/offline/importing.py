"""One import under way: everything is checked first; then rows become records in transactions of at most 50 ms.

Each transaction has one entry that names a digest of its rows, and between which ids their records are, so that an
entry stands for each record before anything could come of it. What is imported permits nothing, so nobody minds that a
batch grows; it can be confirmed or sampled only when its last entry has closed it. An import that stops half-way is
failed, and its records are invalidated; so is one that may not leave out a row which came too late meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from operator import attrgetter
from time import monotonic
from typing import Any, Final

import orjson
from sqlalchemy import BigInteger, Text, bindparam, insert, update

from gateway.catalog.dataset import Dataset
from gateway.clock import Clock
from gateway.consents.offline.archive import Archive
from gateway.consents.offline.batch import BatchState, abandon_paused, existing, move, require_none_under_way
from gateway.consents.offline.becoming import Becoming, Made, Notices, insert_made
from gateway.consents.offline.earlier import AT_ONCE, Earlier
from gateway.consents.offline.report import Report
from gateway.consents.offline.sheet import SheetRow
from gateway.consents.offline.tables import offline_batch, offline_row
from gateway.database import Database, Query, Transaction
from gateway.errors import Conflicting
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger

LONGEST_TRANSACTION_S: Final = 0.04
_MADE_AT_ONCE: Final = 1000
_NEW_BATCH = Query(insert(offline_batch))
_NEW_ROW = Query(insert(offline_row))
_TOUCH = Query(
    update(offline_batch)
    .values(touched_at=bindparam("now", type_=BigInteger))
    .where(offline_batch.c.id == bindparam("the_id"), offline_batch.c.state == "importing")
)
_CLOSE = Query(
    update(offline_batch)
    .values(
        state="imported",
        accepted=bindparam("its_accepted", type_=BigInteger),
        refused=bindparam("its_refused", type_=BigInteger),
        report=bindparam("its_report", type_=Text),
        rows_sha256=bindparam("digest", type_=Text),
        imported_at=bindparam("now", type_=BigInteger),
    )
    .where(offline_batch.c.id == bindparam("the_id"), offline_batch.c.state == "importing")
)


class Import:
    """Writes the rows of one checked batch."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        subject: Subject,
        dataset: Dataset,
        archive: Archive,
        report: Report,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._subject = subject
        self._dataset = dataset
        self._archive = archive
        self._report = report
        self._clock = clock
        self._id = random_id()
        self._digest = hashlib.sha256()

    async def look(self, rows: Sequence[SheetRow]) -> None:
        """Report what an import would do now, and do nothing."""
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            async with self._database.reading() as reading:
                self._refuse(await Earlier.of(reading, self._dataset, some), some)
            await asyncio.sleep(0)

    async def write(self, rows: Sequence[SheetRow], notices: Notices, *, all_or_nothing: bool) -> bytes:
        """Import the rows; the answer is kept with the batch. Records are made while those before are written.

        `all_or_nothing`: a row that has come too late by the time that it is written fails the batch.
        """
        await self._begin()
        self._becoming = Becoming(self._dataset, notices, self._subject, self._id)
        named = await asyncio.to_thread(_named, rows)
        making = self._make(named, 0)
        for first in range(0, len(named), _MADE_AT_ONCE):
            made = await making
            making = self._make(named, first + _MADE_AT_ONCE)
            written = 0
            while written < len(made):
                written += await self._write_some(made[written:])
                if all_or_nothing and self._report.refused:
                    return await self._give_up(rows)
        return await self._close()

    def _make(self, named: Sequence[tuple[str, SheetRow]], first: int) -> Awaitable[Sequence[Made]]:
        """Begin to make the records of the next rows, in a worker thread."""
        some, now_ms, of = named[first : first + _MADE_AT_ONCE], self._clock(), self._becoming.of
        return asyncio.ensure_future(asyncio.to_thread(lambda: [of(record_id, row, now_ms) for record_id, row in some]))

    async def _begin(self) -> None:
        async with self._ledger.changing(self._dataset.owner) as change:
            await abandon_paused(change.tx, change.now_ms)
            await require_none_under_way(change.tx, self._dataset.no)
            await change.tx.run(
                _NEW_BATCH,
                id=self._id,
                alliance_id=self._dataset.alliance,
                owner_id=self._dataset.owner,
                dataset_no=self._dataset.no,
                archive_sha256=self._archive.sha256,
                state="importing",
                accepted=0,
                refused=0,
                report="",
                rows_sha256="",
                started_at=change.now_ms,
                touched_at=change.now_ms,
                imported_at=None,
                plan="",
                seed="",
                sample=0,
                decided_at=None,
                settled_at=None,
            )
            change.enter(self._entry("offline_import_begun", archive_sha256=self._archive.sha256))

    async def _write_some(self, made: Sequence[Made]) -> int:
        """Import as many as fit in one short transaction, with the one entry that stands for them."""
        done, written = 0, list[Made]()
        async with self._ledger.changing(self._dataset.owner) as change:
            if not await change.tx.run(_TOUCH, the_id=self._id, now=change.now_ms):
                raise Conflicting("import_abandoned", "The import paused for too long.", remedy="Import again.")
            deadline = monotonic() + LONGEST_TRANSACTION_S
            while done < len(made) and monotonic() < deadline:
                some = made[done : done + AT_ONCE]
                rows = [one.row for one in some]
                late = self._refuse(await Earlier.of(change.tx, self._dataset, rows), rows)
                written += await self._write_rows(change.tx, [one for one in some if one.row.line not in late])
                done += len(some)
                await asyncio.sleep(0)
            if written:
                digest = _digest_of(written)
                records = [written[0].record_id, written[-1].record_id]
                facts = {"count": len(written), "records": records, "rows_sha256": digest}
                change.enter(self._entry("offline_consents_imported", **facts))
                self._digest.update(bytes.fromhex(digest))
        return done

    def _refuse(self, earlier: Earlier, rows: Sequence[SheetRow]) -> set[int]:
        """Count these rows; returns the lines of those that come too late."""
        refused = [one for one in map(earlier.refusal, rows) if one is not None]
        self._report.refuse(refused)
        self._report.accepted += len(rows) - len(refused)
        return {one.line for one in refused}

    async def _write_rows(self, tx: Transaction, made: list[Made]) -> list[Made]:
        """Insert records, their first events, and the rows."""
        await insert_made(tx, made)
        await tx.many(_NEW_ROW, [self._row(one.row, one.record_id) for one in made])
        return made

    def _row(self, row: SheetRow, record_id: str) -> dict[str, Any]:
        return {
            "batch_id": self._id,
            "line": row.line,
            "record_id": record_id,
            "evidence_sha256": row.evidence_sha256,
            "drawn": 0,
            "verdict": "",
            "seen_sha256": "",
            "marked_by": "",
            "marked_at": None,
        }

    async def _give_up(self, rows: Sequence[SheetRow]) -> bytes:
        """Fail the batch, so that nothing of it counts; the answer says what would be imported now."""
        async with self._ledger.changing(self._dataset.owner) as change:
            await move(change.tx, await existing(change.tx, self._id), BatchState.FAILED, change.now_ms)
            change.enter(self._entry("offline_import_failed"))
        self._report = Report()
        await self.look(rows)
        return self.told(state="nothing_imported", batch=None)

    async def _close(self) -> bytes:
        async with self._ledger.changing(self._dataset.owner) as change:
            told = self.told(state="imported", batch=self._id)
            digest = self._digest.hexdigest()
            if not await change.tx.run(
                _CLOSE,
                the_id=self._id,
                its_accepted=self._report.accepted,
                its_refused=self._report.refused,
                its_report=told.decode(),
                digest=digest,
                now=change.now_ms,
            ):
                raise Conflicting("import_abandoned", "The import paused for too long.", remedy="Import again.")
            counts = {"accepted": self._report.accepted, "refused": self._report.refused, "rows_sha256": digest}
            change.enter(self._entry("offline_batch_imported", **counts))
        return told

    def told(self, *, state: str, batch: str | None) -> bytes:
        """The report as JSON. `stated` evidence is what the owner vouches for alone."""
        checked = len(self._archive.checked)
        return orjson.dumps(
            {
                "batch": batch,
                "dataset": self._dataset.id,
                "state": state,
                "archive_sha256": self._archive.sha256,
                "evidence": {"checked": checked, "stated": len(set(self._archive.manifest.values())) - checked},
                **self._report.as_json(),
            }
        )

    def _entry(self, act: str, **facts: Any) -> Draft:
        actor: Mapping[str, str] = {"member": self._subject.member, "client": self._subject.client}
        about = {"act": act, "actor": dict(actor), "dataset": self._dataset.id, "batch": self._id}
        return Draft(log=self._dataset.owner, kind=Kind.CONSENT, facts=about | facts)


def _named(rows: Sequence[SheetRow]) -> Sequence[tuple[str, SheetRow]]:
    """The rows in the order of their persons' pseudonyms, with random record ids that ascend.

    Neighbours in the indexes are then written together, which is half the work. An order by keyed pseudonyms tells
    nobody anything of the sheet's.
    """
    return list(zip(sorted(random_id() for _ in rows), sorted(rows, key=attrgetter("pseudonym")), strict=True))


def _digest_of(made: Sequence[Made]) -> str:
    """SHA-256 over a line for each row: its line, its record, and the digest of the record's first event."""
    text = "".join(f"{one.row.line} {one.record_id} {one.sha256}\n" for one in made)
    return hashlib.sha256(text.encode()).hexdigest()

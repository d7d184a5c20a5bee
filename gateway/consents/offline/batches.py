"""Batches of an owner: imported, looked up, invalidated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import orjson
from sqlalchemy import BigInteger, bindparam, select, update
from sqlalchemy import Text as SQLText

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import Clock, seconds
from gateway.consents.offline.archive import Archive
from gateway.consents.offline.batch import Batch, BatchState, existing, import_under_way, move
from gateway.consents.offline.becoming import Notices
from gateway.consents.offline.checking import recipients_of, sorted_out
from gateway.consents.offline.importing import Import
from gateway.consents.offline.report import Report
from gateway.consents.offline.sheet import Sheet
from gateway.consents.offline.tables import offline_batch, offline_row
from gateway.consents.tables import consent
from gateway.database import AlreadyExists, Database, Query
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.memory import given_back
from gateway.vault.keyring import KeyRing

_KNOWN = Query(
    select(offline_batch.c.report, offline_batch.c.state).where(
        offline_batch.c.dataset_no == bindparam("dataset_no"), offline_batch.c.archive_sha256 == bindparam("sha256")
    )
)
_OF_OWNER = Query(
    select(offline_batch, dataset_table.c.id.label("dataset_id"))
    .join(dataset_table, dataset_table.c.no == offline_batch.c.dataset_no)
    .where(offline_batch.c.owner_id == bindparam("owner"), offline_batch.c.id > bindparam("after"))
    .order_by(offline_batch.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_END_ALL = Query(
    update(consent)
    .values(ended_at=bindparam("now", type_=BigInteger), end_kind=bindparam("kind_of_end", type_=SQLText))
    .where(
        consent.c.ended_at.is_(None),
        consent.c.id.in_(select(offline_row.c.record_id).where(offline_row.c.batch_id == bindparam("batch"))),
    )
)


class Batches:
    """What an owner does with its batches. Nobody else's is there for it."""

    def __init__(self, database: Database, datasets: Datasets, keyring: KeyRing, ledger: Ledger, clock: Clock) -> None:
        self._database = database
        self._datasets = datasets
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock
        self._room = asyncio.Semaphore(1)  # an archive is held in memory, so there is one at a time

    async def receive(
        self, subject: Subject, dataset_id: str, body: bytes, *, dry_run: bool, all_or_nothing: bool
    ) -> bytes:
        """Import an archive, or report what would become of it; needs the action `consent`.

        Good rows are imported although others were refused, unless `all_or_nothing`. The same archive again answers
        with the first report, and where its batch stands now. `Invalid` and `TooLarge` say why an archive as a whole
        cannot be read; then, and in a dry run, nothing has changed.
        """
        subject.require("consent")
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting("not_personal", "Only personal datasets have consents.", field="dataset")
        if dataset.schema.for_children:
            raise Conflicting(
                "guardian_needed", "For children a verified guardian gives (PIPL Art. 31).", field="dataset"
            )
        async with self._room, given_back():
            archive = await asyncio.to_thread(Archive, body)
            if not dry_run and (known := await self._known(dataset, archive.sha256)) is not None:
                return known
            return await self._import(subject, dataset, archive, dry_run=dry_run, all_or_nothing=all_or_nothing)

    async def _import(
        self, subject: Subject, dataset: Dataset, archive: Archive, *, dry_run: bool, all_or_nothing: bool
    ) -> bytes:
        keys = await self._keyring.unlock(dataset.owner)
        async with self._database.reading() as reading:
            recipients = await recipients_of(reading, dataset)
            notices = await Notices.of(reading, dataset)
        sheet = Sheet(dataset, archive.manifest, seconds(self._clock()), keys.pseudonym)
        reads = partial(sheet.read, archive.sheet())
        rows, refused = await asyncio.to_thread(lambda: sorted_out(reads(), recipients, notices.refusal))
        report = Report()
        report.refuse(refused)
        under_way = Import(self._database, self._ledger, self._clock, subject, dataset, archive, report)
        if dry_run or all_or_nothing or not rows:
            await under_way.look(rows)
            if dry_run or report.refused or not rows:
                return under_way.told(state="checked" if dry_run else "nothing_imported", batch=None)
            report.accepted = 0  # counted as they are written
        try:
            return await under_way.write(rows, notices, all_or_nothing=all_or_nothing)
        except AlreadyExists:
            raise import_under_way() from None

    async def _known(self, dataset: Dataset, sha256: str) -> bytes | None:
        """The report of this archive, if it was imported before, with where its batch stands now; none if it failed."""
        rows = await self._database.all(_KNOWN, dataset_no=dataset.no, sha256=sha256)
        told = next((row for row in rows if row["report"]), None)
        return None if told is None else orjson.dumps(orjson.loads(told["report"]) | {"state": told["state"]})

    async def page(self, subject: Subject, *, after: str, limit: int) -> Sequence[Batch]:
        """Up to `limit` batches of the subject's member, by id, behind `after`."""
        rows = await self._database.all(_OF_OWNER, owner=subject.member, after=after, most=limit)
        return [Batch.of(row) for row in rows]

    async def find(self, batch_id: str) -> Batch:
        """A batch of whatever owner, for operators; or `NotFound`."""
        return await existing(self._database, batch_id)

    async def owned(self, subject: Subject, batch_id: str) -> Batch:
        """A batch of the subject's own member; `NotFound` for everybody else's."""
        found = await existing(self._database, batch_id)
        if found.owner != subject.member:
            raise NotFound
        return found

    async def report(self, subject: Subject, batch_id: str) -> bytes:
        """The report of a batch, with where it stands now."""
        found = await self.owned(subject, batch_id)
        told = orjson.loads(found.report) if found.report else {}
        return orjson.dumps(told | found.describe())

    async def invalidate(self, subject: Subject, batch_id: str) -> Batch:
        """Invalidate a batch of one's own; needs the action `withdraw`. A second time changes nothing."""
        subject.require("withdraw")
        found = await self.owned(subject, batch_id)
        if found.state is not BatchState.INVALIDATED:
            async with self._ledger.changing(found.owner, narrows={found.owner}) as change:
                await invalidate(change, await existing(change.tx, batch_id), subject.actor(), because="owner")
        return await self.owned(subject, batch_id)


async def invalidate(change: Change, of: Batch, actor: Mapping[str, str], *, because: str) -> None:
    """Nothing of a batch permits any more, from this entry on; its records follow (`OfflineRun`).

    The change narrows the owner. All that stands of the batch ends with one statement, however much it is: a chunk
    that waited for its turn would still permit.
    """
    of.require(BatchState.IMPORTED, BatchState.SAMPLED, BatchState.ACCEPTED)
    await move(change.tx, of, BatchState.INVALIDATED, change.now_ms)
    ended = await change.tx.run(_END_ALL, batch=of.id, now=seconds(change.now_ms), kind_of_end="invalidated")
    facts = {"act": "offline_batch_invalidated", "actor": dict(actor), "batch": of.id, "because": because}
    change.enter(Draft(log=of.owner, kind=Kind.CONSENT, facts=facts | {"dataset": of.dataset, "ended": ended}))

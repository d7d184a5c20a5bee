"""One upload under way: read, sealed, staged unseen, and published by one statement or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import orjson
from sqlalchemy import BigInteger, LargeBinary, Text, bindparam, case, insert, or_, select, update

from gateway.catalog.blocks import blocks_of
from gateway.catalog.columns import MESSAGES
from gateway.catalog.customers import CLAUSE, CODE, CustomerRows, Customers
from gateway.catalog.dataset import Dataset
from gateway.catalog.forgetting import CLOCKS_APART_MS, Deleted, forget
from gateway.catalog.reading import Batch, RefusedRow, reader_of
from gateway.catalog.report import Report
from gateway.catalog.sealing import Prepared, TermMemory, prepare, seal
from gateway.catalog.spool import TermSpool
from gateway.catalog.staging import stage_records, stage_terms
from gateway.catalog.subject_keys import subject_keys
from gateway.catalog.tables import KEY_TERM, record_term, upload
from gateway.catalog.uniqueness import Seen
from gateway.clock import Clock
from gateway.database import Database, Query, Reading
from gateway.database.idempotency import fingerprint, recall, remember
from gateway.errors import Conflicting, GatewayError, Invalid, Reason
from gateway.finishing import finished
from gateway.identifiers import random_id
from gateway.identity.revoked import require_standing
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Effect, Kind, Ledger
from gateway.vault.keyring import KeyRing, MemberKeys

_TERMS_AT_ONCE = 5000
_NEW = Query(insert(upload))
_PUBLISHED = Query(
    select(upload.c.no).where(upload.c.dataset_no == bindparam("dataset_no"), upload.c.state == "published")
)
_CLOSE = Query(
    update(upload)
    .values(
        accepted=bindparam("its_accepted", type_=BigInteger),
        refused=bindparam("its_refused", type_=BigInteger),
        report=bindparam("its_report", type_=Text),
    )
    .where(upload.c.no == bindparam("the_no"), upload.c.state == "staged")
)
_FAIL = Query(
    update(upload)
    .values(state=bindparam("outcome", type_=Text))
    .where(upload.c.no == bindparam("the_no"), upload.c.state == "staged")
)
_IS_NEW = upload.c.no == bindparam("the_no", type_=BigInteger)
_PUBLISH = Query(
    update(upload)
    .values(state="published", published_at=bindparam("now", type_=BigInteger))
    .where(_IS_NEW, upload.c.state == "staged")
)
_PUBLISH_INSTEAD = Query(
    update(upload)
    .values(
        state=case((_IS_NEW, "published"), else_="superseded"),
        published_at=case((_IS_NEW, bindparam("now", type_=BigInteger)), else_=upload.c.published_at),
    )
    .where(
        upload.c.dataset_no == bindparam("of_dataset", type_=BigInteger),
        or_(upload.c.state == "published", _IS_NEW),
    )
)
_KEY_TERMS = Query(
    select(record_term.c.term, record_term.c.record_id)
    .join(upload, upload.c.no == record_term.c.upload_no)
    .where(
        record_term.c.dataset_no == bindparam("dataset_no"),
        record_term.c.field_number == KEY_TERM,
        record_term.c.term > bindparam("after", type_=LargeBinary),
        upload.c.state == "published",
    )
    .order_by(record_term.c.term)
    .limit(bindparam("most"))
)

Mode = Literal["append", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a client asks for. `replace` supersedes everything published before; `all_or_nothing` fails on a refusal."""

    dataset_id: str
    media_type: str
    mode: Mode = "append"
    all_or_nothing: bool = False
    delimiter: str | None = None
    null: str | None = None
    key: str | None = None


class UploadFailed(Invalid):
    """Nothing was published. It names the first row that was refused; the upload's report names the others too."""

    def __init__(self, refused: int, first: RefusedRow, upload_id: str) -> None:
        where = f"line {first.line}" + (f", field {first.field}" if first.field else "")
        super().__init__(
            "rows_refused",
            f"Nothing was published. Rows refused: {refused}, the first at {where}: {MESSAGES[first.code]}",
            field=f"line {first.line}",
            remedy=f"Read the report of upload {upload_id}, correct the rows, upload again.",
        )
        self.upload_id = upload_id


class Receiving:
    """One upload under way: `run` it once."""

    def __init__(
        self,
        database: Database,
        keyring: KeyRing,
        ledger: Ledger,
        clock: Clock,
        deleted: Deleted,
        *,
        subject: Subject,
        asked: Upload,
        dataset: Dataset,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock
        self._deleted = deleted
        self._subject = subject
        self._asked = asked
        self._dataset = dataset
        self._reader = reader_of(asked.media_type, dataset.schema, asked.delimiter, asked.null)
        self._no = secrets.randbits(62)
        self._started_at = 0
        self._id = random_id()
        self._content = hashlib.sha256()
        self._report = Report()
        self._seen = Seen() if dataset.schema.unique else None
        self._customers = Customers(dataset.schema)
        self._terms = TermSpool()
        self._known_terms = TermMemory(dataset)
        self._base: frozenset[int] = frozenset()
        self._writing: asyncio.Task[None] | None = None

    async def run(self, body: AsyncIterator[bytes]) -> bytes:
        """See `Uploads.receive`."""
        blocks = blocks_of(body, self._content)
        try:
            if await self._key_is_known():
                async for _ in blocks:
                    await asyncio.sleep(0)
                known = await self._recalled()
                if known is not None:
                    return known
                raise Conflicting(
                    "idempotency_key_expired", "The key's answer has just expired.", remedy="Upload again."
                )
            await self._begin()
            return await self._take_in(blocks)
        finally:
            await finished(asyncio.to_thread(self._forget))

    def _forget(self) -> None:
        """What was kept aside; waits for a thread that is at work on it."""
        self._terms.close()
        if self._seen is not None:
            self._seen.close()

    async def _take_in(self, blocks: AsyncIterator[bytes]) -> bytes:
        try:
            async for block in blocks:
                await self._batch(await asyncio.to_thread(self._reader.feed, block))
            await self._batch(await asyncio.to_thread(self._reader.finish))
            self._customers.conclude()
            await self._written()
            await self._index()
            return await self._publish()
        except BaseException as error:
            if isinstance(error, GatewayError):
                self._report.error = error
            await finished(self._fail())
            if isinstance(error, CustomerRows):
                await self._ledger.record(self._quarantined(error))
            raise

    async def _key_is_known(self) -> bool:
        """Whether the key has an answer: then the content only needs to be compared, not taken in."""
        try:
            await recall(self._database, client_id=self._subject.client, key=self._asked.key, fingerprint="")
        except Conflicting:
            return True
        return False

    async def _recalled(self) -> bytes | None:
        return await recall(
            self._database, client_id=self._subject.client, key=self._asked.key, fingerprint=self._fingerprint()
        )

    def _fingerprint(self) -> str:
        asked = self._asked
        options = f"{asked.mode} {asked.all_or_nothing} {asked.media_type} {asked.delimiter!r} {asked.null!r}"
        return fingerprint("POST uploads", asked.dataset_id, options, self._content.digest())

    async def _begin(self) -> None:
        now = self._started_at = self._clock()
        async with self._database.transaction() as tx:
            await tx.run(
                _NEW,
                no=self._no,
                id=self._id,
                dataset_no=self._dataset.no,
                mode=self._asked.mode,
                state="staged",
                accepted=0,
                refused=0,
                report=self._told("staged").decode(),
                started_at=now,
                touched_at=now,
                published_at=None,
            )
        if self._seen is not None and self._asked.mode == "append":
            await self._learn_published(self._seen)

    async def _learn_published(self, seen: Seen) -> None:
        """Keys of published rows are taken too. Whoever publishes meanwhile is noticed by `_publish`."""
        async with self._database.reading() as reading:
            self._base = await self._published(reading)
            after = b""
            while True:
                rows = await reading.all(_KEY_TERMS, dataset_no=self._dataset.no, after=after, most=_TERMS_AT_ONCE)
                if not rows:
                    return
                terms = [bytes(row["term"]) for row in rows]
                await asyncio.to_thread(seen.add, terms)
                after = terms[-1]

    async def _published(self, reading: Reading) -> frozenset[int]:
        return frozenset(row["no"] for row in await reading.all(_PUBLISHED, dataset_no=self._dataset.no))

    async def _batch(self, batch: Batch) -> None:
        keys = await self._keyring.unlock(self._dataset.owner)
        prepared = await asyncio.to_thread(self._prepare, keys, batch)
        self._report.add(len(prepared.rows), sorted([*batch.refused, *prepared.refused]))
        if not prepared.rows:
            return
        found = await subject_keys(self._database, keys, prepared.scopes, self._clock())
        known = self._known_terms.under(keys)
        staged = await asyncio.to_thread(seal, self._dataset, known, found, self._no, prepared)
        if staged.terms:
            await asyncio.to_thread(self._terms.add, staged.terms)
        await self._written()
        self._writing = asyncio.create_task(stage_records(self._database, self._no, staged.records, self._clock()))

    def _prepare(self, keys: MemberKeys, batch: Batch) -> Prepared:
        self._customers.look(batch.rows)
        return prepare(self._dataset, keys, self._seen, batch.rows)

    async def _index(self) -> None:
        """Insert the terms of the whole upload in the order of the index."""
        common = {"dataset_no": self._dataset.no, "upload_no": self._no}
        while terms := await asyncio.to_thread(self._terms.next, _TERMS_AT_ONCE):
            rows = [{**common, "field_number": n, "term": term, "record_id": record} for n, term, record in terms]
            await stage_terms(self._database, self._no, rows, self._clock())

    async def _written(self) -> None:
        """Wait for the batch before: one batch is written while the next one is read and sealed."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    async def _publish(self) -> bytes:
        report = self._report
        if report.first is not None and (self._asked.all_or_nothing or not report.accepted):
            raise UploadFailed(report.refused, report.first, self._id)
        owner = self._subject.member
        narrows = {owner} if self._asked.mode == "replace" else ()  # no permit for superseded records follows
        try:
            async with self._ledger.changing(owner, narrows=narrows) as change:
                await require_standing(change.tx, self._subject)
                await self._refuse_if_published_meanwhile(change.tx)
                deleted = await self._deleted(change.tx, owner, self._started_at - CLOCKS_APART_MS)
                await forget(change.tx, self._dataset.no, self._no, deleted)
                told = self._told("published")
                closed = await change.tx.run(
                    _CLOSE,
                    the_no=self._no,
                    its_accepted=report.accepted,
                    its_refused=report.refused,
                    its_report=told.decode(),
                )
                if not closed:
                    raise Conflicting("upload_abandoned", "The upload paused for too long.", remedy="Upload again.")
                if self._asked.mode == "replace":
                    await change.tx.run(
                        _PUBLISH_INSTEAD, the_no=self._no, now=change.now_ms, of_dataset=self._dataset.no
                    )
                else:
                    await change.tx.run(_PUBLISH, the_no=self._no, now=change.now_ms)
                change.enter(self._entry())
                await remember(
                    change.tx,
                    client_id=self._subject.client,
                    key=self._asked.key,
                    fingerprint=self._fingerprint(),
                    answer=told,
                    now_ms=change.now_ms,
                )
        except Conflicting:
            known = await self._recalled()
            if known is None:
                raise
            await self._fail()  # an equal upload with this key was published meanwhile: its answer is this one's
            return known
        return told

    async def _refuse_if_published_meanwhile(self, reading: Reading) -> None:
        if self._seen is None or self._asked.mode == "replace" or await self._published(reading) == self._base:
            return
        raise Conflicting(
            "published_meanwhile",
            "Another upload was published meanwhile, so duplicates cannot be ruled out.",
            remedy="Upload again.",
        )

    def _entry(self) -> Draft:
        facts = {
            "act": "upload_published",
            "actor": {"member": self._subject.member, "client": self._subject.client},
            "dataset": self._dataset.id,
            "upload": self._id,
            "mode": self._asked.mode,
            "accepted": self._report.accepted,
            "refused": self._report.refused,
            "content_sha256": self._content.hexdigest(),
        }
        return Draft(log=self._subject.member, kind=Kind.CATALOG, facts=facts)

    def _quarantined(self, found: CustomerRows) -> Draft:
        facts = {
            "act": "upload_quarantined",
            "actor": {"member": self._subject.member, "client": self._subject.client},
            "dataset": self._dataset.id,
            "upload": self._id,
            "columns": [one.describe() for one in found.columns],
        }
        reasons = (Reason(CODE, CLAUSE),)
        return Draft(log=self._subject.member, kind=Kind.CATALOG, effect=Effect.DENY, reasons=reasons, facts=facts)

    def _told(self, state: str) -> bytes:
        named = {
            "id": self._id,
            "dataset": self._dataset.id,
            "mode": self._asked.mode,
            "state": state,
            "content_sha256": self._content.hexdigest(),
        }
        return orjson.dumps(named | self._report.as_json())

    async def _fail(self) -> None:
        """Keep the report, leave the rows unseen. Where even that fails, `sweep` finds the upload abandoned."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError, GatewayError):
                await self._writing
        outcome = "quarantined" if isinstance(self._report.error, CustomerRows) else "failed"
        with suppress(GatewayError):
            async with self._database.transaction() as tx:
                await tx.run(
                    _CLOSE,
                    the_no=self._no,
                    its_accepted=self._report.accepted,
                    its_refused=self._report.refused,
                    its_report=self._told(outcome).decode(),
                )
                await tx.run(_FAIL, the_no=self._no, outcome=outcome)

"""Writing sealed rows where nobody sees them yet, and taking them away again, in transactions of at most 50 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from sqlalchemy import BigInteger, Table, and_, bindparam, delete, exists, insert, or_, select, update

from gateway.catalog.tables import dataset, legal_hold, record, record_term, upload
from gateway.database import Database, Query
from gateway.errors import Conflicting

LONGEST_TRANSACTION_S = 0.04
_AT_ONCE = 100
_DELETED_AT_ONCE = 200
_NEW_RECORD = Query(insert(record))
_NEW_TERM = Query(insert(record_term))
_TOUCH = Query(
    update(upload)
    .values(touched_at=bindparam("now", type_=BigInteger))
    .where(upload.c.no == bindparam("upload_no"), upload.c.state == "staged")
)
_ABANDON = Query(
    update(upload)
    .values(state="failed")
    .where(upload.c.state == "staged", upload.c.touched_at < bindparam("before", type_=BigInteger))
)
_IS_KEPT = (
    exists().where(dataset.c.no == upload.c.dataset_no, legal_hold.c.dataset_id == dataset.c.id).correlate(upload)
)
_MAY_GO = or_(
    upload.c.state == "failed",
    upload.c.state == "quarantined",
    and_(upload.c.state == "superseded", ~_IS_KEPT),
)
_DEAD = Query(
    select(upload.c.no).where(
        _MAY_GO,
        exists().where(record.c.upload_no == upload.c.no) | exists().where(record_term.c.upload_no == upload.c.no),
    )
)
_RECORD_KEY = ("dataset_no", "id")
_TERM_KEY = ("dataset_no", "field_number", "term", "record_id")


def _listing(table: Table, key: Sequence[str]) -> Query:
    """Some rows of an upload, as long as it may go: a hold may begin while it is being deleted."""
    this = bindparam("upload_no", type_=BigInteger)
    rows = select(*(table.c[name] for name in key)).where(table.c.upload_no == this)
    return Query(rows.where(exists().where(upload.c.no == this, _MAY_GO)).limit(bindparam("most")))


def _deletion(table: Table, key: Sequence[str]) -> Query:
    return Query(delete(table).where(*(table.c[name] == bindparam(name) for name in key)))


_RECORDS_OF = _listing(record, _RECORD_KEY)
_DELETE_RECORD = _deletion(record, _RECORD_KEY)
_TERMS_OF = _listing(record_term, _TERM_KEY)
_DELETE_TERM = _deletion(record_term, _TERM_KEY)


Rows = Sequence[dict[str, Any]]


async def stage_records(database: Database, upload_no: int, records: Rows, now_ms: int) -> None:
    """Insert sealed records unseen. `Conflicting` when the upload is not staged any more."""
    await _stage(database, upload_no, _NEW_RECORD, records, now_ms)


async def stage_terms(database: Database, upload_no: int, terms: Rows, now_ms: int) -> None:
    """Insert index terms unseen, in the order of the index. `Conflicting` as above."""
    await _stage(database, upload_no, _NEW_TERM, terms, now_ms)


async def _stage(database: Database, upload_no: int, insertion: Query, rows: Rows, now_ms: int) -> None:
    at, end = 0, len(rows)
    while at < end:
        async with database.transaction() as tx:
            if not await tx.run(_TOUCH, now=now_ms, upload_no=upload_no):
                raise Conflicting("upload_abandoned", "The upload paused for too long.", remedy="Upload again.")
            deadline = monotonic() + LONGEST_TRANSACTION_S
            while at < end and monotonic() < deadline:
                await tx.many(insertion, rows[at : at + _AT_ONCE])
                at += _AT_ONCE
                await asyncio.sleep(0)


async def sweep(database: Database, *, abandoned_before: int, prepare: Callable[[], Awaitable[None]]) -> int:
    """Delete the rows of failed, quarantined and superseded uploads, and of staged ones that were abandoned.

    Abandoned: untouched since `abandoned_before` (ms). What was superseded in a dataset under a legal hold stays until
    its cases are decided (clauses 3.3.4, 7.2.2). `prepare` is awaited once it is settled what goes, none of which can
    be read any more, and before any of it does. Returns how many records went. It may be stopped at any point and run
    again.
    """
    async with database.transaction() as tx:
        await tx.run(_ABANDON, before=abandoned_before)
    dead = await database.all(_DEAD)
    await prepare()
    deleted = 0
    for row in dead:
        deleted += await _delete(database, _RECORDS_OF, _DELETE_RECORD, _RECORD_KEY, row["no"])
        await _delete(database, _TERMS_OF, _DELETE_TERM, _TERM_KEY, row["no"])
    return deleted


async def _delete(database: Database, listing: Query, deletion: Query, columns: Sequence[str], upload_no: int) -> int:
    deleted = 0
    while True:
        async with database.transaction() as tx:
            rows = await tx.all(listing, upload_no=upload_no, most=_DELETED_AT_ONCE)
            await tx.many(deletion, [{name: row[name] for name in columns} for row in rows])
        deleted += len(rows)
        if len(rows) < _DELETED_AT_ONCE:
            return deleted
        await asyncio.sleep(0)

"""Uploads of a dataset's owner: received, reported on, swept away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from weakref import WeakValueDictionary

import orjson
from sqlalchemy import bindparam, select

from gateway.catalog.datasets import Datasets
from gateway.catalog.forgetting import Deleted
from gateway.catalog.receiving import Receiving, Upload, UploadFailed
from gateway.catalog.staging import sweep
from gateway.catalog.tables import upload
from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.errors import NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.memory import given_back
from gateway.vault.keyring import KeyRing

__all__ = ["Upload", "UploadFailed", "Uploads"]

ABANDONED_AFTER_MS = 15 * 60 * 1000
_AT_ONCE_OF_MEMBER = 2
_BY_ID = Query(select(upload).where(upload.c.id == bindparam("id"), upload.c.dataset_no == bindparam("dataset_no")))


async def _nothing() -> None:
    """Nothing needs to have seen them."""


class Uploads:
    """Receives uploads. Until one is published, nobody sees a row of it."""

    def __init__(
        self,
        database: Database,
        datasets: Datasets,
        keyring: KeyRing,
        ledger: Ledger,
        clock: Clock,
        deleted: Deleted,
    ) -> None:
        self._database = database
        self._datasets = datasets
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock
        self._deleted = deleted
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # of members now uploading

    async def receive(self, subject: Subject, asked: Upload, body: AsyncIterator[bytes]) -> bytes:
        """Take in an upload and return its report as JSON; needs the action `upload`, and the dataset's owner.

        Good rows are published although others were refused, unless `all_or_nothing`. The same key with the same
        content answers with the first report; `Conflicting` with other content. `Invalid` names what makes the
        file unreadable as a whole; `UploadFailed` that nothing was published; then nothing has changed.
        `TokenOver` where the token, its key or its client was ended before the upload was, `Refused` for a member that
        was suspended meanwhile.
        A member has two uploads under way at most, the next one waits; one that falls silent is `UploadStalled`.
        """
        subject.require("upload")
        dataset = await self._datasets.owned(subject, asked.dataset_id)
        receiving = Receiving(
            self._database, self._keyring, self._ledger, self._clock, self._deleted,
            subject=subject, asked=asked, dataset=dataset,
        )  # fmt: skip
        room = self._rooms.setdefault(subject.member, asyncio.Semaphore(_AT_ONCE_OF_MEMBER))
        async with room, given_back():
            return await receiving.run(body)

    async def report(self, subject: Subject, dataset_id: str, upload_id: str) -> bytes:
        """The report of one of the owner's uploads, as JSON; `NotFound` for everybody else's."""
        dataset = await self._datasets.owned(subject, dataset_id)
        row = await self._database.one(_BY_ID, id=upload_id, dataset_no=dataset.no)
        if row is None:
            raise NotFound
        told = orjson.loads(row["report"])
        return orjson.dumps({**told, "state": row["state"], "published_at": row["published_at"]})

    async def sweep(self, *, alone_since: int = 0, prepare: Callable[[], Awaitable[None]] = _nothing) -> int:
        """Delete the rows of uploads that failed, were abandoned or superseded; returns how many.

        `alone_since`: since this instant (ms) no other process has served the database, so that whatever was staged
        and has not been touched since is abandoned. `prepare`: what must have seen the rows before they go.
        """
        before = max(alone_since, self._clock() - ABANDONED_AFTER_MS)
        return await sweep(self._database, abandoned_before=before, prepare=prepare)

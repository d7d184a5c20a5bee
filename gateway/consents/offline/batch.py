"""A batch as it stands, and where it may go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Text, bindparam, null, select, update

from gateway.catalog.tables import dataset
from gateway.consents.offline.tables import offline_batch
from gateway.database import Query, Reading, Row, Transaction
from gateway.errors import Conflicting, NotFound


class BatchState(StrEnum):
    """Where a batch stands. Nothing of it permits before it is accepted, or a person has confirmed."""

    IMPORTING = "importing"
    FAILED = "failed"
    IMPORTED = "imported"
    SAMPLED = "sampled"
    ACCEPTED = "accepted"
    INVALIDATED = "invalidated"


_BY_ID = Query(
    select(offline_batch, dataset.c.id.label("dataset_id"))
    .join(dataset, dataset.c.no == offline_batch.c.dataset_no)
    .where(offline_batch.c.id == bindparam("id"))
)
_MOVE = Query(
    update(offline_batch)
    .values(state=bindparam("new_state", type_=Text), decided_at=bindparam("at", type_=BigInteger), settled_at=null())
    .where(offline_batch.c.id == bindparam("the_id"), offline_batch.c.state == bindparam("old_state"))
)


ABANDONED_AFTER_MS: Final = 15 * 60 * 1000
IN_VAIN: Final = (BatchState.IMPORTING, BatchState.FAILED, BatchState.INVALIDATED)
"""Where nothing that is imported will come of a batch: it ended, or has yet to be closed."""
_ABANDON = Query(
    update(offline_batch)
    .values(state=BatchState.FAILED.value)
    .where(
        offline_batch.c.state == BatchState.IMPORTING.value,
        offline_batch.c.touched_at < bindparam("before", type_=BigInteger),
    )
)
_UNDER_WAY = Query(
    select(offline_batch.c.id)
    .where(offline_batch.c.state == BatchState.IMPORTING.value, offline_batch.c.dataset_no == bindparam("dataset_no"))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One row of `offline_batch`, with its dataset's id."""

    id: str
    alliance: str
    owner: str
    dataset_no: int
    dataset: str
    archive_sha256: str
    state: BatchState
    accepted: int
    refused: int
    rows_sha256: str
    report: str
    imported_at: int | None
    plan: str
    seed: str
    sample: int
    settled_at: int | None

    @classmethod
    def of(cls, row: Row) -> Batch:
        """The batch that a row stands for."""
        same = ("id", "dataset_no", "archive_sha256", "accepted", "refused", "rows_sha256", "report", "imported_at")
        last = ("plan", "seed", "sample", "settled_at")
        return cls(
            **{name: row[name] for name in (*same, *last)},
            alliance=row["alliance_id"],
            owner=row["owner_id"],
            dataset=row["dataset_id"],
            state=BatchState(row["state"]),
        )

    def require(self, *states: BatchState) -> None:
        """`Conflicting` unless the batch is in one of these states."""
        if self.state not in states:
            raise Conflicting("wrong_state", f"The batch is {self.state}.", field="batch")

    def describe(self) -> dict[str, Any]:
        """As its owner and operators see it."""
        return {
            "id": self.id,
            "dataset": self.dataset,
            "state": self.state.value,
            "archive_sha256": self.archive_sha256,
            "rows_sha256": self.rows_sha256 or None,
            "accepted": self.accepted,
            "refused": self.refused,
            "imported_at": self.imported_at,
            "plan": json.loads(self.plan) if self.plan else None,
            "seed": self.seed or None,
            "sample": self.sample,
            "settled": self.settled_at is not None,
        }


async def existing(reading: Reading, batch_id: str) -> Batch:
    """A batch as this reading sees it, or `NotFound`."""
    row = await reading.one(_BY_ID, id=batch_id)
    if row is None:
        raise NotFound
    return Batch.of(row)


async def move(tx: Transaction, of: Batch, state: BatchState, now_ms: int) -> None:
    """To another state; `Conflicting` if it has moved meanwhile."""
    if not await tx.run(_MOVE, the_id=of.id, old_state=of.state.value, new_state=state.value, at=now_ms):
        raise Conflicting("wrong_state", "The batch has moved meanwhile.", field="batch")


async def abandon_paused(tx: Transaction, now_ms: int) -> None:
    """Fail every import that has written nothing for 15 minutes: it died, and goes on no more."""
    await tx.run(_ABANDON, before=now_ms - ABANDONED_AFTER_MS)


async def require_none_under_way(reading: Reading, dataset_no: int) -> None:
    """`Conflicting` while a batch of the dataset is being imported: nobody knows yet what will come of its rows."""
    if await reading.one(_UNDER_WAY, dataset_no=dataset_no) is not None:
        raise import_under_way()


def import_under_way() -> Conflicting:
    """Why an archive cannot be imported now."""
    return Conflicting(
        "import_under_way",
        "An archive is being imported to this dataset.",
        remedy="Send it again once that import has ended; one that broke off ends within 15 minutes.",
    )

"""A batch as it stands, and where it may go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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

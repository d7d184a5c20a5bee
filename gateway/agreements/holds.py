"""Holds: a dispute or an incident freezes its own subject, and nothing else (clauses 7.2.1, 7.2.3)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway.agreements.datasets import Datasets
from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.tables import agreement, hold
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Draft, Kind, Ledger

_ADD = Query(insert(hold))
_HOLD = Query(select(hold).where(hold.c.id == bindparam("id")))
_ACTIVE = Query(
    select(hold.c.case_id, hold.c.subject_kind, hold.c.subject_id)
    .where(
        hold.c.subject_kind == bindparam("kind"),
        hold.c.subject_id == bindparam("subject"),
        hold.c.state == "active",
    )
    .order_by(hold.c.case_id)
)
_LIFT = Query(
    update(hold)
    .where(hold.c.id == bindparam("the_id"), hold.c.state == "active")
    .values(state="lifted", lifted_at=bindparam("at"))
)
_AGREEMENT_OWNER = Query(
    select(agreement.c.owner_id).where(
        agreement.c.id == bindparam("id"), agreement.c.alliance_id == bindparam("alliance")
    )
)


class HoldSubject(StrEnum):
    """What can be held."""

    DATASET = "dataset"
    AGREEMENT = "agreement"


class Holds:
    """Places and lifts holds. Each act is one entry in the log of the owner whose data it concerns."""

    def __init__(self, database: Database, ledger: Ledger, datasets: Datasets) -> None:
        self._database = database
        self._ledger = ledger
        self._datasets = datasets

    async def place(self, alliance_id: str, kind: HoldSubject, subject_id: str, *, case: str, operator: str) -> str:
        """Freeze a dataset or an agreement from this entry on; returns the hold's id.

        `NotFound` outside the alliance; `Conflicting` if the same case holds it already.
        """
        if not re.fullmatch(IDENTIFIER, case):
            raise Invalid("case_malformed", "A case id has a form that is not allowed.", field="case")
        owner = await self._owner(alliance_id, kind, subject_id)
        hold_id = random_id()
        async with self._ledger.changing(narrows=[owner]) as change:
            active = await change.tx.all(_ACTIVE, kind=kind.value, subject=subject_id)
            if any(row["case_id"] == case for row in active):
                raise Conflicting("hold_stands", "This case holds it already.", field="case")
            await change.tx.run(
                _ADD,
                id=hold_id,
                alliance_id=alliance_id,
                subject_kind=kind.value,
                subject_id=subject_id,
                case_id=case,
                state="active",
                placed_at=change.now_ms,
                lifted_at=None,
            )
            facts = {"hold": hold_id, "case": case, kind.value: subject_id}
            change.enter(_act("hold_placed", owner, operator, facts))
        return hold_id

    async def lift(self, hold_id: str, *, operator: str) -> None:
        """End a hold. Lifted already: nothing happens, no entry."""
        row = await self._database.one(_HOLD, id=hold_id)
        if row is None:
            raise NotFound
        kind = HoldSubject(row["subject_kind"])
        owner = await self._owner(row["alliance_id"], kind, row["subject_id"])
        facts = {"hold": hold_id, "case": row["case_id"], kind.value: row["subject_id"]}
        async with self._ledger.changing(owner) as change:
            if await change.tx.run(_LIFT, the_id=hold_id, at=change.now_ms):
                change.enter(_act("hold_lifted", owner, operator, facts))

    async def _owner(self, alliance_id: str, kind: HoldSubject, subject_id: str) -> str:
        if kind is HoldSubject.DATASET:
            owner = await self._datasets.owner_of(self._database, alliance=alliance_id, dataset=subject_id)
        else:
            row = await self._database.one(_AGREEMENT_OWNER, id=subject_id, alliance=alliance_id)
            owner = None if row is None else row["owner_id"]
        if owner is None:
            raise NotFound
        return owner


async def holds_case(reading: Reading, *, agreement_id: str, dataset_id: str) -> list[dict[str, str]]:
    """The `holds` of the policy's input: every active hold on this agreement or this dataset."""
    on_agreement = await reading.all(_ACTIVE, kind="agreement", subject=agreement_id)
    on_dataset = await reading.all(_ACTIVE, kind="dataset", subject=dataset_id)
    return [_case(row) for row in (*on_agreement, *on_dataset)]


def _case(row: Row) -> dict[str, str]:
    return {"case": row["case_id"], "subject": row["subject_id"], "state": "active"}


def _act(act: str, owner: str, operator: str, facts: dict[str, Any]) -> Draft:
    return Draft(log=owner, kind=Kind.HOLD, facts={"act": act, "actor": {"operator": operator}, **facts})

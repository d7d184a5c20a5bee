"""Holds: a dispute or an incident freezes its own subject, and nothing else (clauses 7.2.1, 7.2.3).

One operator places a hold, at once. Lifting one gives access back, and takes two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway.agreements.datasets import Datasets
from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.tables import agreement, hold
from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import seconds
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import said

OPEN_END_MS = 253_402_300_799_000
"""The end of a hold that has none (9999-12-31T23:59:59Z)."""

_ADD = Query(insert(hold))
_HOLD = Query(select(hold).where(hold.c.id == bindparam("id")))
_ACTIVE = Query(
    select(hold.c.case_id, hold.c.subject_kind, hold.c.subject_id, hold.c.placed_at, hold.c.until)
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
    """Places holds, and lifts them. Each act is one entry in the log of the owner whose data it concerns."""

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
        owner = await self._owner(self._database, alliance_id, kind, subject_id)
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
                until=OPEN_END_MS,
            )
            facts = {"hold": hold_id, "case": case, kind.value: subject_id}
            change.enter(_act("hold_placed", owner, {"operator": operator}, facts))
        return hold_id

    def acts(self) -> list[Act]:
        """`lift_hold`, which needs two operators."""
        return [Act("lift_hold", self._check_lifting, self._lift, logs=self._logs_of_lifting)]

    async def lifting(self, hold_id: str) -> tuple[str, dict[str, str]]:
        """The alliance of a hold, and the arguments of `lift_hold`: what it froze, and for which case."""
        row = await _existing(self._database, hold_id)
        return row["alliance_id"], _facts(row)

    async def _check_lifting(self, reading: Reading, of: str, arguments: Arguments) -> None:
        row = await _existing(reading, said(arguments, "hold"))
        if row["alliance_id"] != of:
            raise NotFound
        if dict(arguments) != _facts(row):
            raise Invalid("another_hold", "The hold is of another case or subject.", field="hold")
        if row["state"] != "active":
            raise Conflicting("hold_lifted", "The hold is lifted already.", field="hold")

    async def _lift(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """End a hold."""
        await self._check_lifting(change.tx, mandate.alliance, arguments)
        row = await _existing(change.tx, arguments["hold"])
        owner = await self._owner_of(change.tx, row)
        if not await change.tx.run(_LIFT, the_id=row["id"], at=change.now_ms):
            raise Conflicting("hold_lifted", "The hold is lifted already.", field="hold")
        change.enter(_act("hold_lifted", owner, mandate.actor(), _facts(row)))
        return ""

    async def _logs_of_lifting(self, _: str, arguments: Arguments) -> Sequence[str]:
        return [await self._owner_of(self._database, await _existing(self._database, arguments["hold"]))]

    async def _owner_of(self, reading: Reading, row: Row) -> str:
        return await self._owner(reading, row["alliance_id"], HoldSubject(row["subject_kind"]), row["subject_id"])

    async def _owner(self, reading: Reading, alliance_id: str, kind: HoldSubject, subject_id: str) -> str:
        if kind is HoldSubject.DATASET:
            owner = await self._datasets.owner_of(reading, alliance=alliance_id, dataset=subject_id)
        else:
            row = await reading.one(_AGREEMENT_OWNER, id=subject_id, alliance=alliance_id)
            owner = None if row is None else row["owner_id"]
        if owner is None:
            raise NotFound
        return owner


async def holds_case(reading: Reading, *, agreement_id: str, dataset_id: str) -> list[dict[str, Any]]:
    """The `holds` of the policy's input: every hold on this agreement or this dataset that was not lifted."""
    on_agreement = await reading.all(_ACTIVE, kind="agreement", subject=agreement_id)
    on_dataset = await reading.all(_ACTIVE, kind="dataset", subject=dataset_id)
    return [_case(row) for row in (*on_agreement, *on_dataset)]


def _case(row: Row) -> dict[str, Any]:
    return {
        "case": row["case_id"],
        "subject": row["subject_id"],
        "state": "active",
        "from": seconds(row["placed_at"]),
        "until": seconds(row["until"]),
    }


async def _existing(reading: Reading, hold_id: str) -> Row:
    row = await reading.one(_HOLD, id=hold_id)
    if row is None:
        raise NotFound
    return row


def _facts(row: Row) -> dict[str, str]:
    return {"hold": row["id"], "case": row["case_id"], row["subject_kind"]: row["subject_id"]}


def _act(act: str, owner: str, actor: Mapping[str, str], facts: Mapping[str, Any]) -> Draft:
    return Draft(log=owner, kind=Kind.HOLD, facts={"act": act, "actor": dict(actor), **facts})

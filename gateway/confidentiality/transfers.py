"""What lets data cross a border (PIPL Art. 38): filed by the owner, and accepted for the alliance by two operators.

A security assessment, a certification, a filed standard contract, or the ground of an exemption, with its number. It
counts from acceptance until its own end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.fields import choice, instant, members, sentence
from gateway.agreements.revision import touch_agreement
from gateway.agreements.tables import agreement as agreement_table
from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import MILLISECONDS
from gateway.confidentiality.filing import Filing, Place, Places, entry
from gateway.confidentiality.intervals import written
from gateway.confidentiality.tables import transfer_mechanism
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import said as argument

KINDS: Final = ("assessment", "certification", "standard_contract", "exempt")
_ADD = Query(insert(transfer_mechanism))
_OF_PLACE = Query(
    select(transfer_mechanism)
    .where(
        transfer_mechanism.c.agreement_id == bindparam("agreement_id"),
        transfer_mechanism.c.dataset_id == bindparam("dataset_id"),
    )
    .order_by(transfer_mechanism.c.filed_at, transfer_mechanism.c.id)
)
_BY_ID = Query(
    select(transfer_mechanism, agreement_table.c.alliance_id, agreement_table.c.owner_id)
    .join(agreement_table, agreement_table.c.id == transfer_mechanism.c.agreement_id)
    .where(transfer_mechanism.c.id == bindparam("id"))
)
_ACCEPT = Query(
    update(transfer_mechanism)
    .where(
        transfer_mechanism.c.id == bindparam("the_id"),
        transfer_mechanism.c.accepted_at.is_(None),
        transfer_mechanism.c.ended_at.is_(None),
    )
    .values(accepted_at=bindparam("at", type_=BigInteger))
)
_REPLACE = Query(
    update(transfer_mechanism)
    .where(
        transfer_mechanism.c.agreement_id == bindparam("the_agreement"),
        transfer_mechanism.c.dataset_id == bindparam("the_dataset"),
        transfer_mechanism.c.accepted_at.is_not(None),
        transfer_mechanism.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at", type_=BigInteger))
)
_END = Query(
    update(transfer_mechanism)
    .where(transfer_mechanism.c.id == bindparam("the_id"), transfer_mechanism.c.ended_at.is_(None))
    .values(ended_at=bindparam("at", type_=BigInteger))
)


class Transfers:
    """Filing, accepting and ending what lets a dataset cross a border under an agreement."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def file(self, filing: Filing, agreement: str, dataset: str, said: dict[str, Any]) -> bytes:
        """File a mechanism by `kind`, `number` and `until`; it counts once accepted. Needs `confide`."""
        filing.subject.require("confide")
        members(said, ("kind", "number", "until"), "")
        kind = choice(said["kind"], "/kind", KINDS)
        number = sentence(said["number"], "/number")
        until = instant(said["until"], "/until") * MILLISECONDS
        place = await self._places.standing(filing.subject, agreement, dataset)
        place.require_owner(filing.subject)

        async def work(change: Change) -> Any:
            if until <= change.now_ms:
                raise Invalid("interval_over", "It has ended already.", field="/until")
            row = {"id": random_id(), **place.names, "kind": kind, "number": number, "until_at": until}
            row |= {"filed_at": change.now_ms, "accepted_at": None, "ended_at": None}
            await change.tx.run(_ADD, **row)
            facts = {"transfer": row["id"], "kind_of_transfer": kind, "number": number}
            change.enter(entry(place.owner, "transfer_filed", filing.subject, **place.facts(), **facts))
            return _described(row)

        return await filing.once(self._database, self._ledger, work, place.owner)

    async def show(self, subject: Subject, agreement: str, dataset: str) -> list[dict[str, Any]]:
        """Every mechanism of a dataset under an agreement, oldest first."""
        place = await self._places.between(subject, agreement, dataset)
        return [_described(row) for row in await self._database.all(_OF_PLACE, **place.names)]

    async def end(self, subject: Subject, agreement: str, dataset: str, transfer_id: str) -> dict[str, Any]:
        """It holds no more, or never did: no permit follows. Needs `confide`; a second time changes nothing."""
        subject.require("confide")
        place = await self._places.of(subject, agreement, dataset)
        place.require_owner(subject)
        await self._existing(place, transfer_id)
        async with self._ledger.changing(narrows=[place.owner]) as change:
            if await change.tx.run(_END, the_id=transfer_id, at=change.now_ms):
                await touch_agreement(change, agreement)
                facts = {**place.facts(), "transfer": transfer_id}
                change.enter(entry(place.owner, "transfer_ended", subject, **facts))
        return _described(await self._existing(place, transfer_id))

    def acts(self) -> list[Act]:
        """`accept_transfer`, which needs two operators."""
        return [Act("accept_transfer", self._check, self._accept, narrows=self._owner)]

    async def acceptance(self, transfer_id: str) -> tuple[str, dict[str, str]]:
        """The alliance of a filed mechanism, and the arguments of `accept_transfer`: everything it says."""
        row = await _filed(self._database, transfer_id)
        return row["alliance_id"], _facts(row)

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        row = await _filed(reading, argument(arguments, "transfer"))
        if row["alliance_id"] != of:
            raise NotFound
        if dict(arguments) != _facts(row):
            raise Invalid("another_transfer", "What was filed says something else.", field="transfer")
        if row["accepted_at"] is not None or row["ended_at"] is not None:
            raise Conflicting("transfer_settled", "It was accepted already, or has ended.", field="transfer")

    async def _accept(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """From this entry on it counts, in the place of what counted before."""
        await self._check(change.tx, mandate.alliance, arguments)
        row = await _filed(change.tx, arguments["transfer"])
        if row["until_at"] <= change.now_ms:
            raise Conflicting("interval_over", "It has ended meanwhile.", field="transfer")
        place = {"the_agreement": row["agreement_id"], "the_dataset": row["dataset_id"]}
        await change.tx.run(_REPLACE, **place, at=change.now_ms)
        await change.tx.run(_ACCEPT, the_id=row["id"], at=change.now_ms)
        await touch_agreement(change, row["agreement_id"])
        facts = {"act": "transfer_accepted", "actor": mandate.actor(), "agreement": row["agreement_id"]}
        facts |= {"dataset": row["dataset_id"], "transfer": row["id"]}
        change.enter(Draft(log=row["owner_id"], kind=Kind.AGREEMENT, facts=facts))
        return ""

    async def _owner(self, _: str, arguments: Arguments) -> Sequence[str]:
        return [(await _filed(self._database, arguments["transfer"]))["owner_id"]]

    async def _existing(self, place: Place, transfer_id: str) -> Row:
        rows = await self._database.all(_OF_PLACE, **place.names)
        found = next((row for row in rows if row["id"] == transfer_id), None)
        if found is None:
            raise NotFound
        return found


async def _filed(reading: Reading, transfer_id: str) -> Row:
    row = await reading.one(_BY_ID, id=transfer_id)
    if row is None:
        raise NotFound
    return row


def _facts(row: Row) -> dict[str, str]:
    """What two operators decide on."""
    named = {"transfer": row["id"], "agreement": row["agreement_id"], "dataset": row["dataset_id"]}
    return named | {"kind": row["kind"], "number": row["number"], "until": str(written(row["until_at"]))}


def _described(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "agreement": row["agreement_id"],
        "dataset": row["dataset_id"],
        "kind": row["kind"],
        "number": row["number"],
        "until": written(row["until_at"]),
        "filed_at": written(row["filed_at"]),
        "accepted_at": written(row["accepted_at"]),
        "ended_at": written(row["ended_at"]),
    }

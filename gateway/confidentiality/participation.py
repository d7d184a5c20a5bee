"""Participation (clause 1.3.1): a party shares a dataset because it says so, and until it says no.

An agreement alone shares nothing. Leaving is free: no breach and no reason is recorded. It is no way back either:
who took part when stays on record, so a duty that had come due does not vanish with whoever leaves afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.revision import touch_agreement
from gateway.confidentiality.filing import Place, Places, entry
from gateway.confidentiality.intervals import written
from gateway.confidentiality.tables import participation
from gateway.database import Database, Query, Reading
from gateway.errors import Reason, Refused
from gateway.identity.subject import Subject
from gateway.ledger import Ledger

_BOTH = Query(
    select(participation)
    .where(
        participation.c.agreement_id == bindparam("agreement_id"), participation.c.dataset_id == bindparam("dataset_id")
    )
    .order_by(participation.c.no)
)
_ADD = Query(insert(participation))
_OF = (
    participation.c.agreement_id == bindparam("the_agreement"),
    participation.c.dataset_id == bindparam("the_dataset"),
    participation.c.member_id == bindparam("the_member"),
)
_LEAVE = Query(
    update(participation)
    .where(*_OF, participation.c.opted_out_at.is_(None))
    .values(opted_out_at=bindparam("at", type_=BigInteger))
)


class Participations:
    """Opting in and out; both sides see where both stand."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def show(self, subject: Subject, agreement: str, dataset: str) -> dict[str, Any]:
        """Who takes part since when, for both parties."""
        return await _described(self._database, await self._places.between(subject, agreement, dataset))

    async def opt_in(self, subject: Subject, agreement: str, dataset: str) -> dict[str, Any]:
        """Take part from this entry on. Needs `participate`; a second time changes nothing."""
        subject.require("participate")
        place = await self._places.standing(subject, agreement, dataset)
        _require_party(place, subject)
        async with self._ledger.changing(place.owner) as change:
            stints = await change.tx.all(_BOTH, **place.names)
            mine = next((row for row in reversed(stints) if row["member_id"] == subject.member), None)
            if mine is None or mine["opted_out_at"] is not None:
                row = {"member_id": subject.member, "opted_in_at": change.now_ms, "opted_out_at": None}
                await change.tx.run(_ADD, **place.names, no=1 if mine is None else mine["no"] + 1, **row)
                await touch_agreement(change, agreement)
                change.enter(entry(place.owner, "opted_in", subject, **place.facts()))
            return await _described(change.tx, place)

    async def opt_out(self, subject: Subject, agreement: str, dataset: str) -> dict[str, Any]:
        """Take no part from this entry on: no permit follows. Needs `participate`; a second time changes nothing."""
        subject.require("participate")
        place = await self._places.of(subject, agreement, dataset)
        _require_party(place, subject)
        async with self._ledger.changing(narrows=[place.owner]) as change:
            if await change.tx.run(_LEAVE, **_key(place, subject), at=change.now_ms):
                await touch_agreement(change, agreement)
                change.enter(entry(place.owner, "opted_out", subject, **place.facts()))
            return await _described(change.tx, place)


async def took_part(reading: Reading, *, agreement: str, dataset: str, members: Collection[str], at_ms: int) -> bool:
    """Whether each of these members took part at an instant (milliseconds), whatever they did afterwards."""
    stints = await reading.all(_BOTH, agreement_id=agreement, dataset_id=dataset)
    there = {row["member_id"] for row in stints if row["opted_in_at"] <= at_ms < (row["opted_out_at"] or at_ms + 1)}
    return there.issuperset(members)


def _require_party(place: Place, subject: Subject) -> None:
    if subject.member not in place.agreement.parties:
        raise Refused((Reason("PARTY_ONLY"),))


def _key(place: Place, subject: Subject) -> dict[str, str]:
    return {"the_agreement": place.agreement.id, "the_dataset": place.dataset, "the_member": subject.member}


async def _described(reading: Reading, place: Place) -> dict[str, Any]:
    rows = {row["member_id"]: row for row in await reading.all(_BOTH, **place.names)}
    told: dict[str, Any] = dict(place.facts())
    for role, member in zip(("owner", "recipient"), place.agreement.parties, strict=True):
        row = rows.get(member)
        told[role] = {
            "member": member,
            "takes_part": row is not None and row["opted_out_at"] is None,
            "opted_in_at": written(row["opted_in_at"]) if row else None,
            "opted_out_at": written(row["opted_out_at"]) if row else None,
        }
    return told

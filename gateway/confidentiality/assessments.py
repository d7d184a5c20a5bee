"""Impact assessments (PIPL Art. 55 and 56): what the owner assessed before it provides personal information to another.

An assessment belongs to one dataset under one agreement and ends. It has the three sections of Art. 56, the SHA-256
of the whole report, and how many years report and processing record are kept: three at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.fields import matching, members, prose, whole
from gateway.agreements.revision import touch_agreement
from gateway.canonical import canonical, parse_canonical
from gateway.confidentiality.filing import Filing, Place, Places, entry
from gateway.confidentiality.intervals import continued, stated, written
from gateway.confidentiality.statements import SHA256
from gateway.confidentiality.tables import assessment
from gateway.database import Database, Query, Row
from gateway.errors import NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger

SECTIONS: Final = ("purpose_and_necessity", "impact_and_risks", "protective_measures")
"""Art. 56: lawfulness, legitimacy and necessity; impact on rights and risks; whether protection is proportionate."""
LEAST_RETENTION_YEARS: Final = 3
_MOST_RETENTION_YEARS: Final = 100

_ADD = Query(insert(assessment))
_OF_PLACE = Query(
    select(assessment)
    .where(assessment.c.agreement_id == bindparam("agreement_id"), assessment.c.dataset_id == bindparam("dataset_id"))
    .order_by(assessment.c.filed_at, assessment.c.id)
)
_END = Query(
    update(assessment)
    .where(assessment.c.id == bindparam("the_id"), assessment.c.ended_at.is_(None))
    .values(ended_at=bindparam("at", type_=BigInteger))
)


class Assessments:
    """Filed and ended by the owner; both parties see them."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def file(self, filing: Filing, agreement: str, dataset: str, said: dict[str, Any]) -> bytes:
        """File an assessment; it follows one that stands without a gap. Needs `confide`."""
        filing.subject.require("confide")
        checked = _checked(said)
        place = await self._places.standing(filing.subject, agreement, dataset)
        place.require_owner(filing.subject)

        async def work(change: Change) -> Any:
            standing = await _standing(change, place)
            covered = None if standing is None else (standing["covers_from"], standing["until_at"])
            begins = continued(checked["begins"], checked["ends"], now_ms=change.now_ms, standing=covered)
            if standing is not None:
                await change.tx.run(_END, the_id=standing["id"], at=change.now_ms)
            row = {
                "id": random_id(),
                **place.names,
                "report_sha256": checked["report_sha256"],
                "sections": canonical(checked["sections"]).decode(),
                "retention_years": checked["retention_years"],
                "covers_from": begins,
                "until_at": checked["ends"],
                "filed_at": change.now_ms,
                "ended_at": None,
            }
            await change.tx.run(_ADD, **row)
            await touch_agreement(change, agreement)
            facts = {"assessment": row["id"], "report_sha256": row["report_sha256"], "until": written(row["until_at"])}
            facts["retention_years"] = row["retention_years"]
            change.enter(entry(place.owner, "assessment_filed", filing.subject, **place.facts(), **facts))
            return _described(row)

        return await filing.once(self._database, self._ledger, work, place.owner)

    async def end(self, subject: Subject, agreement: str, dataset: str, assessment_id: str) -> dict[str, Any]:
        """What was assessed holds no more: no permit follows. Needs `confide`; a second time changes nothing."""
        subject.require("confide")
        place = await self._places.of(subject, agreement, dataset)
        place.require_owner(subject)
        await self._existing(place, assessment_id)
        async with self._ledger.changing(narrows=[place.owner]) as change:
            if await change.tx.run(_END, the_id=assessment_id, at=change.now_ms):
                await touch_agreement(change, agreement)
                facts = {**place.facts(), "assessment": assessment_id}
                change.enter(entry(place.owner, "assessment_ended", subject, **facts))
        return _described(await self._existing(place, assessment_id))

    async def show(self, subject: Subject, agreement: str, dataset: str) -> list[dict[str, Any]]:
        """Every assessment of a dataset under an agreement, oldest first; those that ended stay, as evidence."""
        place = await self._places.between(subject, agreement, dataset)
        return [_described(row) for row in await self._database.all(_OF_PLACE, **place.names)]

    async def _existing(self, place: Place, assessment_id: str) -> Row:
        rows = await self._database.all(_OF_PLACE, **place.names)
        found = next((row for row in rows if row["id"] == assessment_id), None)
        if found is None:
            raise NotFound
        return found


async def _standing(change: Change, place: Place) -> Row | None:
    rows = await change.tx.all(_OF_PLACE, **place.names)
    return next((row for row in rows if row["ended_at"] is None), None)


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    members(said, ("from", "until", "sections", "report_sha256", "retention_years"), "")
    begins, ends = stated(said)
    members(said["sections"], SECTIONS, "/sections")
    return {
        "begins": begins,
        "ends": ends,
        "sections": {name: prose(said["sections"][name], f"/sections/{name}") for name in SECTIONS},
        "report_sha256": matching(said["report_sha256"], "/report_sha256", SHA256),
        "retention_years": whole(
            said["retention_years"], "/retention_years", LEAST_RETENTION_YEARS, _MOST_RETENTION_YEARS
        ),
    }


def _described(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "agreement": row["agreement_id"],
        "dataset": row["dataset_id"],
        "report_sha256": row["report_sha256"],
        "sections": parse_canonical(row["sections"].encode()),
        "retention_years": row["retention_years"],
        "covers_from": written(row["covers_from"]),
        "until": written(row["until_at"]),
        "filed_at": written(row["filed_at"]),
        "ended_at": written(row["ended_at"]),
    }

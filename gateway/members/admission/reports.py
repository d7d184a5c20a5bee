"""The assessment report of the departments (clause 2.2.2): sections, sign-offs, and nothing submitted incomplete.

A report binds the documents and the reviews that it was written from, and a sign-off binds the report's own text by its
digest. A report that management declined is over: what follows is another report, with sign-offs of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from gateway.canonical import canonical
from gateway.characters import shown_as_written
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Change, Ledger
from gateway.members.admission.documents import dossier_digest
from gateway.members.admission.dossier import admission_entry, current_documents, member_row
from gateway.members.admission.papers import Papers
from gateway.members.admission.people import Department, require_department
from gateway.members.admission.reviews import ReviewKind, passed_reviews
from gateway.members.admission.tables import report, signoff

LONGEST_SECTION: Final = 20_000

_ADD = Query(insert(report))
_FIND = Query(select(report).where(report.c.id == bindparam("id")))
_SET_STATE = Query(
    update(report)
    .where(report.c.id == bindparam("the_id"), report.c.state == bindparam("former"))
    .values(state=bindparam("new_state"))
)
_SIGN = Query(insert(signoff))
_SIGNED = Query(select(signoff.c.department, signoff.c.person).where(signoff.c.report_id == bindparam("report")))


class Section(StrEnum):
    """What a report must say."""

    PROFILE = "profile"
    STRENGTHS = "strengths"
    RISKS = "risks"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Report:
    """A report without its texts. `sha256` covers them, the dossier and the reviews."""

    id: str
    member: str
    alliance: str
    dossier: str
    legal_review: str
    finance_review: str
    sections: tuple[str, ...]
    sha256: str
    author: str
    state: str


class Reports:
    """Writes reports and takes them through their states; each step is an entry in the operator's log."""

    def __init__(self, database: Database, ledger: Ledger, papers: Papers) -> None:
        self._database = database
        self._ledger = ledger
        self._papers = papers

    async def write(self, member_id: str, sections: Mapping[str, str], *, operator: str) -> str:
        """Put a draft on record, with the sections that are there yet; returns its id. The business department's act.

        A draft is never edited: a fuller one is another, with sign-offs of its own. `Conflicting` unless both reviews
        passed the documents as they are; `Invalid` for a section that is none, empty or too long.
        """
        for name, text in sections.items():
            _check_section(name, text)
        company, report_id = await member_row(self._database, member_id), random_id()
        said = canonical(dict(sections))
        sealed = await self._papers.seal(member_id, "report", {report_id: said})
        alliance = company["alliance_id"]
        async with self._ledger.changing(alliance) as change:
            await require_department(
                change.tx, alliance=alliance, member=member_id, person=operator, department=Department.BUSINESS
            )
            if (await member_row(change.tx, member_id))["state"] != "prospect":
                raise Conflicting("not_a_prospect", "The company is a member already.", field="member")
            bound = await _bound(change.tx, member_id)
            digest = sha256(canonical({"report": report_id, "said": said.decode(), **bound})).hexdigest()
            await change.tx.run(
                _ADD,
                id=report_id,
                member_id=member_id,
                sections=json.dumps(sorted(sections)),
                sealed=sealed[report_id],
                sha256=digest,
                author=operator,
                written_at=change.now_ms,
                state="draft",
                **bound,
            )
            facts = {"member": member_id, "report": report_id, "report_sha256": digest, **bound}
            change.enter(admission_entry(alliance, "report_written", {"operator": operator}, **facts))
        return report_id

    async def find(self, report_id: str) -> Report:
        """A report in any state, or `NotFound`."""
        return await find_report(self._database, report_id)

    async def read(self, report_id: str, *, operator: str) -> dict[str, str]:
        """The sections' texts, once it is on record that the operator reads them."""
        found, row = await self.find(report_id), await _row(self._database, report_id)
        text = await self._papers.open(
            found.alliance, found.member, "report", report_id, row["sealed"], operator=operator
        )
        sections: dict[str, str] = json.loads(text)
        return sections

    async def sign_off(self, report_id: str, department: Department, *, sha256: str, operator: str) -> None:
        """A department stands behind exactly the text that this digest names. `Conflicting` for another text."""
        found = await self.find(report_id)
        async with self._ledger.changing(found.alliance) as change:
            found = await _in_draft(change.tx, report_id)
            await require_department(
                change.tx, alliance=found.alliance, member=found.member, person=operator, department=department
            )
            if sha256 != found.sha256:
                raise Conflicting("report_differs", "The report is not the one that was read.", field="sha256")
            if department in await signed_off(change.tx, report_id):
                raise Conflicting("signed_off", "The department has signed off already.", field="department")
            await change.tx.run(
                _SIGN, report_id=report_id, department=department.value, person=operator, signed_at=change.now_ms
            )
            facts = {"member": found.member, "report": report_id, "report_sha256": sha256}
            act = "report_signed_off"
            actor = {"operator": operator}
            change.enter(admission_entry(found.alliance, act, actor, department=department.value, **facts))

    async def submit(self, report_id: str, *, operator: str) -> None:
        """Put a complete report before management.

        `Invalid` (`report_incomplete`) names every section and every department that is missing; `Conflicting` if
        documents or reviews are others than those that it was written from. The business department's act.
        """
        found = await self.find(report_id)
        async with self._ledger.changing(found.alliance) as change:
            found = await _in_draft(change.tx, report_id)
            await require_department(
                change.tx, alliance=found.alliance, member=found.member, person=operator, department=Department.BUSINESS
            )
            _require_complete(found, await signed_off(change.tx, report_id))
            await require_bound(change.tx, found)
            await move_report(change, found, "draft", "submitted")
            facts = {"member": found.member, "report": report_id, "report_sha256": found.sha256}
            change.enter(admission_entry(found.alliance, "report_submitted", {"operator": operator}, **facts))


async def find_report(reading: Reading, report_id: str) -> Report:
    """The report of an id, or `NotFound`."""
    row = await _row(reading, report_id)
    company = await member_row(reading, row["member_id"])
    return Report(
        id=row["id"],
        member=row["member_id"],
        alliance=company["alliance_id"],
        dossier=row["dossier_sha256"],
        legal_review=row["legal_review"],
        finance_review=row["finance_review"],
        sections=tuple(json.loads(row["sections"])),
        sha256=row["sha256"],
        author=row["author"],
        state=row["state"],
    )


async def signed_off(reading: Reading, report_id: str) -> dict[Department, str]:
    """Which departments stand behind a report, and by whom."""
    return {Department(row["department"]): row["person"] for row in await reading.all(_SIGNED, report=report_id)}


async def require_bound(reading: Reading, found: Report) -> None:
    """`Conflicting` unless documents and reviews are those that the report was written from."""
    bound = await _bound(reading, found.member)
    written_from = {
        "dossier_sha256": found.dossier,
        "legal_review": found.legal_review,
        "finance_review": found.finance_review,
    }
    if {name: bound[name] for name in written_from} != written_from:
        raise Conflicting(
            "report_outdated",
            "Documents or reviews are not those that the report was written from.",
            field="report",
            remedy="Write another report.",
        )


async def move_report(change: Change, found: Report, former: str, new: str) -> None:
    """From one state to another; `Conflicting` if it is not in the former."""
    if await change.tx.run(_SET_STATE, the_id=found.id, former=former, new_state=new) != 1:
        raise Conflicting("report_state", f"The report is not {former}.", field="report")


async def _bound(reading: Reading, member_id: str) -> dict[str, Any]:
    digest = dossier_digest(await current_documents(reading, member_id))
    reviews = await passed_reviews(reading, member_id, digest)
    named = {f"{kind.value}_review": reviews[kind].id for kind in ReviewKind}
    return {"dossier_sha256": digest, **named}


async def _row(reading: Reading, report_id: str) -> Row:
    row = await reading.one(_FIND, id=report_id)
    if row is None:
        raise NotFound
    return row


async def _in_draft(reading: Reading, report_id: str) -> Report:
    found = await find_report(reading, report_id)
    if found.state != "draft":
        raise Conflicting("report_state", f"The report is {found.state}.", field="report")
    return found


def _check_section(name: str, text: str) -> None:
    if name not in set(Section):
        raise Invalid("section_unknown", "There is no such section.", field="sections")
    if not 0 < len(text.strip()) <= LONGEST_SECTION:
        raise Invalid("section_malformed", f"A section has 1 to {LONGEST_SECTION} characters.", field=name)
    shown_as_written(text, name, lines=True)


def _require_complete(found: Report, signed: Mapping[Department, str]) -> None:
    lacking = [section.value for section in Section if section.value not in found.sections]
    unsigned = [department.value for department in Department if department not in signed]
    if not lacking and not unsigned:
        return
    said = [
        *([f"sections: {', '.join(lacking)}"] if lacking else []),
        *([f"sign-offs: {', '.join(unsigned)}"] if unsigned else []),
    ]
    raise Invalid(
        "report_incomplete",
        f"The report lacks {'; '.join(said)}.",
        field=(lacking or unsigned)[0],
        remedy="Write what is missing, and have every department sign off.",
    )

"""A company goes through the whole admission: the public operations, each by a person of its department."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from gateway.approvals import Approvals
from gateway.clock import MILLISECONDS, Clock
from gateway.members.admission import Admissions, Department, DocumentKind, NewDocument, ScoreSheet, Section

MANAGEMENT: Final = "demo management"
_VALID_DAYS: Final = 3650
_REVIEWED_AGAIN_DAYS: Final = 180


class Admitting(Protocol):
    """What admits: a `Gateway`, or a part of one."""

    @property
    def admissions(self) -> Admissions: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def clock(self) -> Clock: ...


async def admit(by: Admitting, member: str, *, uscc: str, clearance: int = 4, country: str = "CN") -> None:
    """Make a prospect a member: documents, both reviews, the report with four sign-offs, and management's approval."""
    admissions, approvals, now_ms = by.admissions, by.approvals, by.clock()
    people = {department: f"demo {department.value}" for department in Department}
    await admissions.dossier.file(member, papers(uscc, now_ms), operator=people[Department.MARKET])
    _, dossier = await admissions.dossier.current(member)
    await admissions.reviews.legal(
        member,
        dossier=dossier,
        passed=True,
        reasons="Licence and scope of business are in order.",
        litigation=False,
        operator=people[Department.LEGAL],
    )
    await admissions.reviews.finance(
        member,
        dossier=dossier,
        passed=True,
        reasons="Three sound years.",
        scores=ScoreSheet(profitability=70, solvency=80, next_review=day(now_ms, _REVIEWED_AGAIN_DAYS)),
        operator=people[Department.FINANCE],
    )
    report = await admissions.reports.write(
        member, {section.value: f"The {section.value}." for section in Section}, operator=people[Department.BUSINESS]
    )
    written = await admissions.reports.find(report)
    for department, person in people.items():
        await admissions.reports.sign_off(report, department, sha256=written.sha256, operator=person)
    await admissions.reports.submit(report, operator=people[Department.BUSINESS])
    alliance, terms = await admissions.approval.terms(report, clearance=clearance, country=country)
    proposal = await approvals.propose(alliance, "admit_member", terms, operator=people[Department.BUSINESS])
    await approvals.approve(proposal, operator=MANAGEMENT)


def papers(uscc: str, now_ms: int, *, days: int = _VALID_DAYS) -> list[NewDocument]:
    """The three documents that every company shows, good for so many days."""
    until = day(now_ms, days)
    return [
        NewDocument(kind=DocumentKind.BUSINESS_LICENCE, number=uscc, valid_to=None, content=b"business licence"),
        NewDocument(kind=DocumentKind.OPERATING_STATE, number="OS-1", valid_to=until, content=b"operating state"),
        NewDocument(kind=DocumentKind.CREDIT_RECORD, number="CR-1", valid_to=until, content=b"credit record"),
    ]


def day(now_ms: int, days: int) -> str:
    """The day so many days from now, as documents name it."""
    return (datetime.fromtimestamp(now_ms // MILLISECONDS, UTC) + timedelta(days=days)).strftime("%Y-%m-%d")

"""A company on its way into an alliance, step by step, each by a person of the department."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.approvals import Approvals
from gateway.clock import Clock
from gateway.database import Database
from gateway.demo.admission import day, papers
from gateway.members import Members
from gateway.members.admission import Admissions, Department, DocumentKind, NewDocument, ScoreSheet, Section
from tests.agreements.world import World, uscc


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """Two alliances without members, on each engine."""
    async with _founded(database) as found:
        yield found


@pytest.fixture
async def sqlite_world(sqlite_database: Database) -> AsyncIterator[World]:
    """Two alliances without members, on SQLite, where the engine makes no difference."""
    async with _founded(sqlite_database) as found:
        yield found


@asynccontextmanager
async def _founded(database: Database) -> AsyncIterator[World]:
    found = World(database)
    found.alliance = await found.members.create_alliance("Sky and Stay", operator="root")
    found.other_alliance = await found.members.create_alliance("Elsewhere", operator="root")
    yield found
    await found.ledger.close()


SECTIONS = {section.value: f"About {section.value}." for section in Section}
SIGNERS = {department: department.value for department in Department}


@dataclass
class Prospect:
    """See the module. `of` is a world, or a gateway."""

    members: Members
    admissions: Admissions
    approvals: Approvals
    clock: Clock
    alliance: str
    number: int = 900
    id: str = ""

    @classmethod
    async def named(cls, of: Any, alliance: str, number: int = 900) -> Prospect:
        """A prospect of the alliance that has shown nothing yet."""
        made = cls(of.members, of.admissions, of.approvals, of.clock, alliance, number)
        made.id = await of.members.create_member(
            alliance, name="New", uscc=made.uscc, industry="bank", operator="secretary"
        )
        return made

    @property
    def uscc(self) -> str:
        """Its code."""
        return uscc(self.number)

    async def file(self, *documents: NewDocument, by: str = "market", days: int = 3650) -> list[str]:
        """File documents; without any, the three that every company shows."""
        filed = list(documents) or papers(self.uscc, self.clock(), days=days)
        return await self.admissions.dossier.file(self.id, filed, operator=by)

    def certificate(self, days: int, content: bytes = b"certificate", **over: Any) -> NewDocument:
        """An industry certificate that is good for so many days."""
        usual = {"kind": DocumentKind.INDUSTRY_CERTIFICATE, "number": "C-1", "valid_to": day(self.clock(), days)}
        return NewDocument(**{**usual, "content": content, **over})

    async def digest(self) -> str:
        """What the dossier is named by."""
        return (await self.admissions.dossier.current(self.id))[1]

    async def legal(self, *, by: str = "legal", passed: bool = True, dossier: str = "") -> str:
        """The legal review."""
        return await self.admissions.reviews.legal(
            self.id,
            dossier=dossier or await self.digest(),
            passed=passed,
            reasons="Read the licence.",
            litigation=False,
            operator=by,
        )

    async def finance(self, *, by: str = "finance", passed: bool = True, dossier: str = "", **scores: Any) -> str:
        """The finance review."""
        usual = {"profitability": 60, "solvency": 70, "next_review": day(self.clock(), 180)}
        return await self.admissions.reviews.finance(
            self.id,
            dossier=dossier or await self.digest(),
            passed=passed,
            reasons="Read the accounts.",
            scores=ScoreSheet(**{**usual, **scores}),
            operator=by,
        )

    async def reviewed(self, **filed: Any) -> None:
        """Documents filed, and both reviews passed."""
        await self.file(**filed)
        await self.legal()
        await self.finance()

    async def written(self, by: str = "business", **sections: str) -> str:
        """A report with all sections, or with these."""
        return await self.admissions.reports.write(self.id, sections or SECTIONS, operator=by)

    async def sign(self, report: str, *departments: Department, by: str = "") -> None:
        """Departments sign off; without any, all four."""
        found = await self.admissions.reports.find(report)
        for department in departments or Department:
            await self.admissions.reports.sign_off(
                report, department, sha256=found.sha256, operator=by or SIGNERS[department]
            )

    async def submitted(self) -> str:
        """A complete report, submitted."""
        report = await self.written()
        await self.sign(report)
        await self.admissions.reports.submit(report, operator="business")
        return report

    async def proposed(self, report: str, *, by: str = "secretary", clearance: int = 3, country: str = "CN") -> str:
        """Its admission, proposed."""
        alliance, terms = await self.admissions.approval.terms(report, clearance=clearance, country=country)
        return await self.approvals.propose(alliance, "admit_member", terms, operator=by)

    async def approve(self, proposal: str, *, by: str = "director") -> str:
        """Its admission, or the renewal of a document."""
        return await self.approvals.approve(proposal, operator=by)

    async def admitted(self, **filed: Any) -> None:
        """All of it."""
        await self.reviewed(**filed)
        await self.approve(await self.proposed(await self.submitted()))

    async def renewed(self, document: NewDocument, *, by: str = "legal") -> None:
        """A document of a member, filed by one person and approved by another."""
        [filed] = await self.file(document)
        alliance, terms = await self.admissions.renewal.terms(filed)
        await self.approve(await self.approvals.propose(alliance, "renew_document", terms, operator="market"), by=by)

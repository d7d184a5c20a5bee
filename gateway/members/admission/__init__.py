"""How a company becomes a member, and stays one: dossier, reviews, report, approval, renewal (clauses 2.1 and 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.approvals import Act
from gateway.clock import Clock
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.members.admission.approval import Approval
from gateway.members.admission.documents import Document, DocumentKind, NewDocument
from gateway.members.admission.dossier import Dossier
from gateway.members.admission.papers import Papers
from gateway.members.admission.people import Department
from gateway.members.admission.renewal import Renewal
from gateway.members.admission.reports import Report, Reports, Section
from gateway.members.admission.reviews import ReviewKind, Reviews, ScoreSheet
from gateway.members.admission.tasks import Task, TaskKind, Tasks
from gateway.vault.keyring import KeyRing

__all__ = [
    "Admissions",
    "Department",
    "Document",
    "DocumentKind",
    "NewDocument",
    "Report",
    "ReviewKind",
    "ScoreSheet",
    "Section",
    "Task",
    "TaskKind",
]


@dataclass(frozen=True, slots=True)
class Admissions:
    """Everything that admissions are made with."""

    dossier: Dossier
    reviews: Reviews
    reports: Reports
    approval: Approval
    renewal: Renewal
    tasks: Tasks

    @classmethod
    def of(
        cls, database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock, *, grace_days: int = 0
    ) -> Admissions:
        """`grace_days`: how long an expired document still counts."""
        papers = Papers(database, ledger, keyring)
        return cls(
            Dossier(database, ledger, papers, clock),
            Reviews(database, ledger, papers, clock),
            Reports(database, ledger, papers),
            Approval(database, clock, grace_days=grace_days),
            Renewal(database, clock, grace_days=grace_days),
            Tasks(database, clock),
        )

    def acts(self) -> list[Act]:
        """`admit_member` and `renew_document`."""
        return [*self.approval.acts(), *self.renewal.acts()]

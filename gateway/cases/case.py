"""A case as it stands, and as its parties see it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.cases.steps import CaseKind, clause_of
from gateway.clock import seconds
from gateway.database import Row


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence. Without `content`, whoever added it keeps it and the gateway its SHA-256 alone."""

    name: str
    sha256: str
    content: str | None
    added_by: Mapping[str, str]
    added_at: int

    @classmethod
    def of(cls, row: Row) -> Evidence:
        """From its row."""
        by = json.loads(row["added_by"])
        return cls(row["name"], row["sha256"], row["content"], by, row["added_at"])

    def describe(self) -> dict[str, Any]:
        """What the parties see of it."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "content": self.content,
            "added_by": dict(self.added_by),
            "added_at": told(self.added_at),
        }


@dataclass(frozen=True, slots=True)
class Case:
    """A case. Times in milliseconds since the epoch; `log` is where its entries stand."""

    id: str
    alliance: str
    log: str
    origin: str
    kind: CaseKind
    state: str
    agreement: str | None
    subject_kind: str
    subject_id: str
    claim: str
    opened_by: Mapping[str, str]
    claimant: str | None
    respondent: str
    opened_at: int
    clock_until: int | None
    decided_at: int | None
    decision: str
    forum: Mapping[str, str] | None

    @classmethod
    def of(cls, row: Row) -> Case:
        """From its row."""
        return cls(
            id=row["id"],
            alliance=row["alliance_id"],
            log=row["log_id"],
            origin=row["origin"],
            kind=CaseKind(row["kind"]),
            state=row["state"],
            agreement=row["agreement_id"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            claim=row["claim"],
            opened_by=json.loads(row["opened_by"]),
            claimant=row["claimant_id"],
            respondent=row["respondent_id"],
            opened_at=row["opened_at"],
            clock_until=row["clock_until"],
            decided_at=row["decided_at"],
            decision=row["decision"],
            forum=json.loads(row["forum"]) if row["forum"] else None,
        )

    @property
    def parties(self) -> frozenset[str]:
        """The members that see it."""
        return frozenset({self.respondent, *([self.claimant] if self.claimant else [])})

    def describe(self) -> dict[str, Any]:
        """What its parties see of it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "clause": clause_of(self.kind, self.origin),
            "state": self.state,
            "agreement": self.agreement,
            "subject": {"kind": self.subject_kind, "id": self.subject_id},
            "claim": self.claim,
            "claimant": self.claimant,
            "respondent": self.respondent,
            "opened_at": told(self.opened_at),
            "clock_until": told(self.clock_until),
            "decided_at": told(self.decided_at),
            "decision": self.decision,
            "forum": dict(self.forum) if self.forum else None,
        }


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case with its evidence and the holds that were placed for it."""

    case: Case
    evidence: Sequence[Evidence]
    holds: Sequence[Mapping[str, Any]]

    def describe(self) -> dict[str, Any]:
        """What its parties see of it."""
        return {
            **self.case.describe(),
            "evidence": [one.describe() for one in self.evidence],
            "holds": [dict(one) for one in self.holds],
        }


def told(milliseconds: int | None) -> str | None:
    """An instant as RFC 3339 in UTC, whole seconds."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(seconds(milliseconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Cases and their evidence. What a case was opened with stays; evidence is never rewritten or removed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

case_file = Table(
    "case_file",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("log_id", Text, ForeignKey("log.id"), nullable=False),  # where its entries stand
    Column("origin", Text, nullable=False, unique=True),  # what it came of: of one origin there is one case
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("agreement_id", Text, ForeignKey("agreement.id")),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("opened_by", Text, nullable=False),  # JSON: the actor, as entries name it
    Column("claimant_id", Text, ForeignKey("member.id")),  # null where no member claims
    Column("respondent_id", Text, ForeignKey("member.id"), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("clock_until", BigInteger),  # ms: until when negotiation runs, or a confirmed breach can be cured
    Column("decided_at", BigInteger),
    Column("decision", Text, nullable=False),  # '' until decided
    Column("forum", Text, nullable=False),  # JSON; '' until escalated
    CheckConstraint("kind IN ('dispute', 'breach', 'leak', 'investigation')", name="kind"),
    Index(None, "alliance_id", "id"),
    Index(None, "claimant_id", "id"),
    Index(None, "respondent_id", "id"),
)

case_evidence = Table(
    "case_evidence",
    metadata,
    Column("case_id", Text, ForeignKey("case_file.id"), primary_key=True),
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("content", Text),  # null: whoever added it keeps it, and the gateway its digest
    Column("added_by", Text, nullable=False),  # JSON: the actor
    Column("added_at", BigInteger, nullable=False),
)

_ARCHIVED = "archived: what a case was opened with, and its evidence, is never rewritten or removed"
_FIXED = (
    "id",
    "alliance_id",
    "log_id",
    "origin",
    "kind",
    "agreement_id",
    "subject_kind",
    "subject_id",
    "claim",
    "opened_by",
    "claimant_id",
    "respondent_id",
    "opened_at",
)
guarded(
    case_file,
    [
        Guard("case_file_keeps_its_opening", "UPDATE", _ARCHIVED, lambda distinct: changed(_FIXED, distinct)),
        Guard("case_file_stays", "DELETE", _ARCHIVED),
    ],
)
guarded(
    case_evidence,
    [
        Guard("case_evidence_keeps_its_text", "UPDATE", _ARCHIVED),
        Guard("case_evidence_stays", "DELETE", _ARCHIVED),
    ],
)

"""What a company showed before it was admitted, what was thought of it, and who stands behind that (clauses 2.1, 2.2).

Files and texts are sealed under the member's audit key. Rows keep their words: only states move.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

document = Table(
    "document",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("valid_to", Text),
    Column("time_zone", Text, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("uploaded_by", Text, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("replaces", Text, ForeignKey("document.id")),
    Column("state", Text, nullable=False),
    CheckConstraint("state IN ('current', 'waiting', 'replaced')", name="state"),
)
"""`valid_to` is the last day, in `time_zone`; `valid_until` the first instant after it. A waiting one counts once two
people want it."""
Index(None, document.c.member_id, document.c.state)

review = Table(
    "review",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("no", BigInteger, nullable=False),
    Column("dossier_sha256", Text, nullable=False),
    Column("passed", BigInteger, nullable=False),
    Column("litigation", BigInteger, nullable=False),
    Column("profitability", BigInteger),
    Column("solvency", BigInteger),
    Column("next_review", BigInteger),
    Column("sealed", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("reviewed_at", BigInteger, nullable=False),
    UniqueConstraint("member_id", "kind", "no"),
    CheckConstraint("kind IN ('legal', 'finance')", name="kind"),
    CheckConstraint(
        "(kind = 'finance') = (profitability IS NOT NULL) AND (kind = 'finance') = (solvency IS NOT NULL)"
        " AND (kind = 'finance') = (next_review IS NOT NULL)",
        name="score_sheet",
    ),
)
"""`dossier_sha256` names exactly the documents that were looked at; `no` counts from 1; the reasons are sealed."""

report = Table(
    "report",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("dossier_sha256", Text, nullable=False),
    Column("legal_review", Text, ForeignKey("review.id"), nullable=False),
    Column("finance_review", Text, ForeignKey("review.id"), nullable=False),
    Column("sections", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint("state IN ('draft', 'submitted', 'approved', 'rejected')", name="state"),
)
"""`sections` names those that are written; their texts are sealed, and `sha256` covers them."""
Index(None, report.c.member_id)

signoff = Table(
    "report_signoff",
    metadata,
    Column("report_id", Text, ForeignKey("report.id"), primary_key=True),
    Column("department", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
    CheckConstraint("department IN ('market', 'business', 'legal', 'finance')", name="department"),
)

_KEPT: Final = "archived: what was shown, reviewed and reported keeps its words"
FIXED: Final = {
    "document": (
        "id", "member_id", "kind", "number", "valid_to", "time_zone", "valid_until", "sha256", "sealed", "uploaded_by",
        "filed_at", "replaces",
    ),
    "report": (
        "id", "member_id", "dossier_sha256", "legal_review", "finance_review", "sections", "sealed", "sha256", "author",
        "written_at",
    ),
}  # fmt: skip
"""The columns that never change, of the tables whose rows have a state."""

for _table in (document, report):
    guarded(
        _table,
        [
            Guard(
                f"{_table.name}_is_kept",
                "UPDATE",
                _KEPT,
                lambda differs, name=_table.name: changed(FIXED[name], differs),  # type: ignore[misc]
            ),
            Guard(f"{_table.name}_stays", "DELETE", _KEPT),
        ],
    )
for _table in (review, signoff):
    guarded(
        _table,
        [Guard(f"{_table.name}_is_kept", "UPDATE", _KEPT), Guard(f"{_table.name}_stays", "DELETE", _KEPT)],
    )

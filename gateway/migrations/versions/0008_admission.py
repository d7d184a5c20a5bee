"""Admission: prospects, departments, dossiers, reviews, reports, attestations.

Revision 0008. Members that were admitted before stay so, and have no documents yet.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_CHECKS = {
    "operator": {
        "role": "role IN ('admin', 'officer', 'secretariat', 'market', 'legal', 'finance', 'business', 'management')",
        "state": "state IN ('active', 'disabled')",
    },
    "member": {
        "state": "state IN ('prospect', 'admitted', 'suspended')",
        "clearance": "clearance BETWEEN 0 AND 4",
    },
}
_KEPT = "archived: what was shown, reviewed and reported keeps its words"
_ATTESTED = "archived: what a member attested keeps its words"
_FIXED = {
    "document": (
        "id", "member_id", "kind", "number", "valid_to", "time_zone", "valid_until", "sha256", "sealed", "uploaded_by",
        "filed_at", "replaces",
    ),
    "report": (
        "id", "member_id", "dossier_sha256", "legal_review", "finance_review", "sections", "sealed", "sha256", "author",
        "written_at",
    ),
    "attestation": ("id", "alliance_id", "member_id", "about", "jws", "sha256", "corrects", "made_at"),
}  # fmt: skip


def _changed(table: str) -> str:
    return " OR ".join(f"new.{column} {{0}} old.{column}" for column in _FIXED[table])


def _guard(name: str, act: str, message: str, when: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when.format('IS NOT')} " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {condition}BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    condition = f"WHEN ({when.format('IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def _other_checks(table: str, changed: str) -> None:
    """SQLite makes the table anew and forgets its checks; PostgreSQL drops the one that changes."""
    anew = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(table) as altered:
        if not anew:
            altered.drop_constraint(op.f(f"ck_{table}_{changed}"), type_="check")
        for name, condition in _CHECKS[table].items():
            if anew or name == changed:
                altered.create_check_constraint(op.f(f"ck_{table}_{name}"), condition)


def upgrade() -> None:
    _other_checks("operator", "role")
    _other_checks("member", "state")
    op.create_table(
        "document",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("valid_to", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("replaces", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('current', 'waiting', 'replaced')", name=op.f("ck_document_state")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_document_member_id")),
        sa.ForeignKeyConstraint(["replaces"], ["document.id"], name=op.f("fk_document_replaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
    )
    op.create_index(op.f("ix_document_member_id_state"), "document", ["member_id", "state"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("dossier_sha256", sa.Text(), nullable=False),
        sa.Column("passed", sa.BigInteger(), nullable=False),
        sa.Column("litigation", sa.BigInteger(), nullable=False),
        sa.Column("profitability", sa.BigInteger(), nullable=True),
        sa.Column("solvency", sa.BigInteger(), nullable=True),
        sa.Column("next_review", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('legal', 'finance')", name=op.f("ck_review_kind")),
        sa.CheckConstraint(
            "(kind = 'finance') = (profitability IS NOT NULL) AND (kind = 'finance') = (solvency IS NOT NULL)"
            " AND (kind = 'finance') = (next_review IS NOT NULL)",
            name=op.f("ck_review_score_sheet"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_review_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("member_id", "kind", "no", name=op.f("uq_review_member_id_kind_no")),
    )
    op.create_table(
        "report",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("dossier_sha256", sa.Text(), nullable=False),
        sa.Column("legal_review", sa.Text(), nullable=False),
        sa.Column("finance_review", sa.Text(), nullable=False),
        sa.Column("sections", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('draft', 'submitted', 'approved', 'rejected')", name=op.f("ck_report_state")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_report_member_id")),
        sa.ForeignKeyConstraint(["legal_review"], ["review.id"], name=op.f("fk_report_legal_review")),
        sa.ForeignKeyConstraint(["finance_review"], ["review.id"], name=op.f("fk_report_finance_review")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index(op.f("ix_report_member_id"), "report", ["member_id"], unique=False)
    op.create_table(
        "report_signoff",
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "department IN ('market', 'business', 'legal', 'finance')", name=op.f("ck_report_signoff_department")
        ),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name=op.f("fk_report_signoff_report_id")),
        sa.PrimaryKeyConstraint("report_id", "department", name=op.f("pk_report_signoff")),
    )
    op.create_table(
        "attestation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("breach", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('standing', 'corrected', 'false')", name=op.f("ck_attestation_state")),
        sa.CheckConstraint("(state = 'false') = (breach IS NOT NULL)", name=op.f("ck_attestation_breach")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_attestation_alliance_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_attestation_member_id")),
        sa.ForeignKeyConstraint(["corrects"], ["attestation.id"], name=op.f("fk_attestation_corrects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attestation")),
        sa.UniqueConstraint("corrects", name=op.f("uq_attestation_corrects")),
        sa.UniqueConstraint("sha256", name=op.f("uq_attestation_sha256")),
    )
    op.create_index(op.f("ix_attestation_member_id_id"), "attestation", ["member_id", "id"], unique=False)
    op.create_index(
        op.f("ix_attestation_alliance_id_about_id"), "attestation", ["alliance_id", "about", "id"], unique=False
    )
    for table in ("document", "report"):
        _guard(f"{table}_is_kept", f"UPDATE ON {table}", _KEPT, _changed(table))
        _guard(f"{table}_stays", f"DELETE ON {table}", _KEPT, "")
    for table in ("review", "report_signoff"):
        _guard(f"{table}_is_kept", f"UPDATE ON {table}", _KEPT, "")
        _guard(f"{table}_stays", f"DELETE ON {table}", _KEPT, "")
    attested = f"old.state = 'false' OR {_changed('attestation')}"
    _guard("attestation_is_kept", "UPDATE ON attestation", _ATTESTED, attested)
    _guard("attestation_stays", "DELETE ON attestation", _ATTESTED, "")

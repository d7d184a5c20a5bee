"""Cases, duties, and holds on more than datasets and agreements.

Revision 0011. Holds that were placed before keep their subject; their owner is read from it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CASE_ARCHIVED = "archived: what a case was opened with, and its evidence, is never rewritten or removed"
_DUTY_ARCHIVED = "archived: how a duty ended is never rewritten or removed"
_CASE_FIXED = (
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
_KINDS = "'dataset', 'agreement', 'term', 'recipient_of_owner', 'referral', 'ledger_line', 'memo'"


def _guard(name: str, table: str, act: str, message: str, when: str = "") -> None:
    """A trigger that refuses an act; `when` with {0} where the dialect says "differs, null included"."""
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when.format('IS NOT')} " if when else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {act} ON {table} {condition}BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    condition = f"WHEN ({when.format('IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def _widen_holds() -> None:
    op.add_column("hold", sa.Column("owner_id", sa.Text(), nullable=True))
    op.execute(
        "UPDATE hold SET owner_id = COALESCE("
        "(SELECT owner_id FROM agreement WHERE agreement.id = hold.subject_id),"
        " (SELECT owner_id FROM dataset WHERE dataset.id = hold.subject_id))"
    )
    with op.batch_alter_table(
        "hold",
        table_args=(sa.CheckConstraint("state IN ('active', 'lifted')", name=op.f("ck_hold_state")),),
    ) as hold:
        if op.get_bind().dialect.name != "sqlite":
            hold.drop_constraint(op.f("ck_hold_subject_kind"), type_="check")
        hold.alter_column("owner_id", existing_type=sa.Text(), nullable=False)
        hold.create_check_constraint(op.f("ck_hold_subject_kind"), f"subject_kind IN ({_KINDS})")
        hold.create_foreign_key(op.f("fk_hold_owner_id"), "member", ["owner_id"], ["id"])
    op.create_index(op.f("ix_hold_alliance_id_case_id"), "hold", ["alliance_id", "case_id"], unique=False)


def _cases() -> None:
    op.create_table(
        "case_file",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=True),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("claimant_id", sa.Text(), nullable=True),
        sa.Column("respondent_id", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("clock_until", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("forum", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('dispute', 'breach', 'leak', 'investigation')", name=op.f("ck_case_file_kind")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_case_file_alliance_id")),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_case_file_log_id")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_case_file_agreement_id")),
        sa.ForeignKeyConstraint(["claimant_id"], ["member.id"], name=op.f("fk_case_file_claimant_id")),
        sa.ForeignKeyConstraint(["respondent_id"], ["member.id"], name=op.f("fk_case_file_respondent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_file")),
        sa.UniqueConstraint("origin", name=op.f("uq_case_file_origin")),
    )
    for first in ("alliance_id", "claimant_id", "respondent_id"):
        op.create_index(op.f(f"ix_case_file_{first}_id"), "case_file", [first, "id"], unique=False)
    op.create_table(
        "case_evidence",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_case_evidence_case_id")),
        sa.PrimaryKeyConstraint("case_id", "no", name=op.f("pk_case_evidence")),
    )
    changes = " OR ".join(f"new.{column} {{0}} old.{column}" for column in _CASE_FIXED)
    _guard("case_file_keeps_its_opening", "case_file", "UPDATE", _CASE_ARCHIVED, changes)
    _guard("case_file_stays", "case_file", "DELETE", _CASE_ARCHIVED)
    _guard("case_evidence_keeps_its_text", "case_evidence", "UPDATE", _CASE_ARCHIVED)
    _guard("case_evidence_stays", "case_evidence", "DELETE", _CASE_ARCHIVED)


def _duties() -> None:
    op.create_table(
        "duty",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("grace_until", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('delivered', 'missed', 'waived')", name=op.f("ck_duty_state")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_duty_agreement_id")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_duty_case_id")),
        sa.PrimaryKeyConstraint("agreement_id", "dataset_id", "period", name=op.f("pk_duty")),
    )
    op.create_table(
        "return_duty",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("certified_at", sa.BigInteger(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('nothing', 'open', 'certified')", name=op.f("ck_return_duty_state")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_return_duty_agreement_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_return_duty_member_id")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_return_duty_case_id")),
        sa.PrimaryKeyConstraint("agreement_id", "member_id", name=op.f("pk_return_duty")),
    )
    op.create_index(op.f("ix_return_duty_member_id"), "return_duty", ["member_id"], unique=False)
    op.create_table(
        "duty_watch",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_duty_watch_agreement_id")),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_duty_watch")),
    )
    op.create_index(op.f("ix_duty_watch_next_at"), "duty_watch", ["next_at"], unique=False)
    _guard("duty_keeps_its_end", "duty", "UPDATE", _DUTY_ARCHIVED)
    _guard("duty_stays", "duty", "DELETE", _DUTY_ARCHIVED)
    _guard("return_duty_keeps_its_certificate", "return_duty", "UPDATE", _DUTY_ARCHIVED, "old.state <> 'open'")
    _guard("return_duty_stays", "return_duty", "DELETE", _DUTY_ARCHIVED)


def _legal_holds() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "dataset_id", name=op.f("pk_legal_hold")),
    )
    op.create_index(op.f("ix_legal_hold_dataset_id"), "legal_hold", ["dataset_id"], unique=False)


def upgrade() -> None:
    _widen_holds()
    _cases()
    _duties()
    _legal_holds()

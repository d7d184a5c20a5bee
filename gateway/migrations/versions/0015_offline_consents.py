"""Batches of consents that were collected on paper, and their rows.

Revision 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ROWS = "archived: what was imported, and how a sample was judged, is never rewritten"
_STAY = "archived: what was imported is never removed"
_ONCE = "archived: a sample is drawn once"
_STATED = ("batch_id", "line", "record_id", "evidence_sha256")
_DRAWN = ("seed", "plan", "sample", "rows_sha256")


def _guard(name: str, act: str, message: str, when: str = "") -> None:
    if op.get_context().dialect.name == "sqlite":
        condition = f"WHEN {when.format(differs='IS NOT')} " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {condition}BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    condition = f"WHEN ({when.format(differs='IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.create_table(
        "offline_batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("archive_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("rows_sha256", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("sample", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('importing', 'failed', 'imported', 'sampled', 'accepted', 'invalidated')",
            name=op.f("ck_offline_batch_state"),
        ),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_offline_batch_alliance_id")),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_offline_batch_dataset_no")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_offline_batch_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offline_batch")),
    )
    op.create_index(op.f("ix_offline_batch_owner_id_id"), "offline_batch", ["owner_id", "id"])
    op.create_index(op.f("ix_offline_batch_state_settled_at"), "offline_batch", ["state", "settled_at"])
    op.create_index(
        "uq_offline_batch_archive",
        "offline_batch",
        ["dataset_no", "archive_sha256"],
        unique=True,
        sqlite_where=sa.text("state != 'failed'"),
        postgresql_where=sa.text("state != 'failed'"),
    )
    op.create_table(
        "offline_row",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("evidence_sha256", sa.Text(), nullable=False),
        sa.Column("drawn", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("seen_sha256", sa.Text(), nullable=False),
        sa.Column("marked_by", sa.Text(), nullable=False),
        sa.Column("marked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("verdict IN ('', 'good', 'bad')", name=op.f("ck_offline_row_verdict")),
        sa.ForeignKeyConstraint(["batch_id"], ["offline_batch.id"], name=op.f("fk_offline_row_batch_id")),
        sa.ForeignKeyConstraint(["record_id"], ["consent_record.id"], name=op.f("fk_offline_row_record_id")),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_offline_row")),
    )
    op.create_index(op.f("ix_offline_row_batch_id_drawn"), "offline_row", ["batch_id", "drawn"])
    op.create_index(op.f("ix_offline_row_record_id"), "offline_row", ["record_id"], unique=True)
    stated = " OR ".join(f"new.{column} {{differs}} old.{column}" for column in _STATED)
    drawn = " OR ".join(f"new.{column} {{differs}} old.{column}" for column in _DRAWN)
    _guard("offline_row_keeps_its_verdict", "UPDATE ON offline_row", _ROWS, f"old.verdict <> '' OR {stated}")
    _guard("offline_row_stays", "DELETE ON offline_row", _STAY)
    _guard("offline_batch_keeps_its_draw", "UPDATE ON offline_batch", _ONCE, f"old.seed <> '' AND ({drawn})")

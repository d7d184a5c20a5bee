"""Requests of persons, what members are asked for them, and links to exports.

Revision 0019.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KEPT = "archived: what a person asked for is never rewritten"
_STAY = "archived: what a person asked for is never removed"
_ASKED = ("id", "owner_id", "pseudonym", "kind", "profile", "behalf", "origin", "sealed", "received_at")


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
        "rights_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("behalf", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("provisional", sa.BigInteger(), nullable=False),
        sa.Column("extended", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.CheckConstraint("behalf IN ('self', 'guardian', 'next_of_kin')", name=op.f("ck_rights_request_behalf")),
        sa.CheckConstraint("origin IN ('page', 'owner')", name=op.f("ck_rights_request_origin")),
        sa.CheckConstraint(
            "state IN ('received', 'open', 'answered', 'refused', 'restricted', 'retracted')",
            name=op.f("ck_rights_request_state"),
        ),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_rights_request_alliance_id")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_rights_request_case_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_rights_request_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_request")),
    )
    op.create_index(op.f("ix_rights_request_owner_id_id"), "rights_request", ["owner_id", "id"])
    op.create_index(op.f("ix_rights_request_owner_id_pseudonym"), "rights_request", ["owner_id", "pseudonym"])
    op.create_index(op.f("ix_rights_request_state_due_at"), "rights_request", ["state", "due_at"])
    op.create_table(
        "rights_export",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("fetches_left", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["rights_request.id"], name=op.f("fk_rights_export_request_id")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_rights_export")),
    )
    op.create_index(op.f("ix_rights_export_request_id"), "rights_export", ["request_id"])
    op.create_table(
        "rights_task",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'done')", name=op.f("ck_rights_task_state")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_rights_task_case_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_rights_task_member_id")),
        sa.ForeignKeyConstraint(["request_id"], ["rights_request.id"], name=op.f("fk_rights_task_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_task")),
    )
    op.create_index(op.f("ix_rights_task_member_id_id"), "rights_task", ["member_id", "id"])
    op.create_index(
        op.f("ix_rights_task_request_id_member_id"), "rights_task", ["request_id", "member_id"], unique=True
    )
    op.create_index(op.f("ix_rights_task_state_due_at"), "rights_task", ["state", "due_at"])
    op.create_index(
        "ix_record_person",
        "record",
        ["pseudonym", "dataset_no"],
        sqlite_where=sa.text("pseudonym != ''"),
        postgresql_where=sa.text("pseudonym != ''"),
    )
    asked = " OR ".join(f"new.{column} {{differs}} old.{column}" for column in _ASKED)
    _guard("rights_request_keeps_what_was_asked", "UPDATE ON rights_request", _KEPT, asked)
    _guard("rights_request_stays", "DELETE ON rights_request", _STAY)

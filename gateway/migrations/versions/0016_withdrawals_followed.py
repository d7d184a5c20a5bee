"""Withdrawals are followed to every recipient, and the disclosure log.

Revision 0016.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_FIXED = (
    "owner_id", "dataset_no", "pseudonym", "recipient_id", "holder", "cause", "event_id", "queued_at", "comply_by",
)  # fmt: skip


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
        "follow_up",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=True),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("named_in", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledge_by", sa.BigInteger(), nullable=False),
        sa.Column("comply_by", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("complied_at", sa.BigInteger(), nullable=True),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("how", sa.Text(), nullable=True),
        sa.Column("legal", sa.Text(), nullable=True),
        sa.Column("proof_sha256", sa.Text(), nullable=True),
        sa.Column("proof_text", sa.Text(), nullable=True),
        sa.Column("reminded", sa.BigInteger(), nullable=False),
        sa.Column("overdue_at", sa.BigInteger(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'failed', 'delivered', 'acknowledged', 'complied', 'verified')",
            name=op.f("ck_follow_up_state"),
        ),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_follow_up_agreement_id")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_follow_up_alliance_id")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_follow_up_case_id")),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_follow_up_dataset_no")),
        sa.ForeignKeyConstraint(["named_in"], ["follow_up.id"], name=op.f("fk_follow_up_named_in")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_follow_up_owner_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_follow_up_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up")),
        sa.UniqueConstraint(
            "event_id", "recipient_id", "holder", name=op.f("uq_follow_up_event_id_recipient_id_holder")
        ),
    )
    op.create_index(op.f("ix_follow_up_consent_id"), "follow_up", ["consent_id"])
    op.create_index(op.f("ix_follow_up_owner_id_pseudonym"), "follow_up", ["owner_id", "pseudonym"])
    op.create_index(op.f("ix_follow_up_recipient_id_id"), "follow_up", ["recipient_id", "id"])
    op.create_index(op.f("ix_follow_up_state_acknowledge_by"), "follow_up", ["state", "acknowledge_by"])
    op.create_table(
        "withdrawal_message",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('due', 'delivered', 'given_up')", name=op.f("ck_withdrawal_message_state")),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_withdrawal_message_log_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_withdrawal_message_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal_message")),
    )
    op.create_index(op.f("ix_withdrawal_message_state_due_at"), "withdrawal_message", ["state", "due_at"])
    op.create_table(
        "withdrawal_address",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_withdrawal_address_client_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_withdrawal_address_member_id")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_withdrawal_address")),
    )
    op.create_table(
        "disclosure",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_disclosure_dataset_no")),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_disclosure_log_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_disclosure_recipient_id")),
        sa.PrimaryKeyConstraint("log_id", "idx", "record_id", name=op.f("pk_disclosure")),
    )
    op.create_index(op.f("ix_disclosure_log_id_pseudonym"), "disclosure", ["log_id", "pseudonym"])
    op.create_index(op.f("ix_disclosure_log_id_record_id"), "disclosure", ["log_id", "record_id"])
    op.create_table(
        "disclosure_cursor",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_disclosure_cursor_log_id")),
        sa.PrimaryKeyConstraint("log_id", name=op.f("pk_disclosure_cursor")),
    )
    rewrites = " OR ".join(f"new.{column} {{differs}} old.{column}" for column in _FIXED)
    _guard(
        "follow_up_keeps_its_origin", "UPDATE ON follow_up", "archived: who has to do what is never rewritten", rewrites
    )
    _guard("follow_up_stays", "DELETE ON follow_up", "archived: a follow-up is never removed")

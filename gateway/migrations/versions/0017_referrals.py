"""Referrals, what they are matched by, and what was agreed about them.

Revision 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "referral",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("subject_key_id", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("city_term", sa.LargeBinary(), nullable=False),
        sa.Column("need_term", sa.LargeBinary(), nullable=False),
        sa.Column("budget_term", sa.LargeBinary(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finance", sa.Text(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=True),
        sa.Column("value_currency", sa.Text(), nullable=True),
        sa.Column("clawed_minor", sa.BigInteger(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("share", sa.BigInteger(), nullable=False),
        sa.Column("conflict_id", sa.Text(), nullable=False),
        sa.Column("drafted_at", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=True),
        sa.Column("ready_at", sa.BigInteger(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("protected_until", sa.BigInteger(), nullable=True),
        sa.Column("attributed_until", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_referral_alliance_id_alliance")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_referral_agreement_id_agreement")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_referral_dataset_id_dataset")),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_referral_dataset_no_dataset")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_referral_owner_id_member")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_referral_recipient_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral")),
    )
    op.create_index(op.f("ix_referral_conflict_id"), "referral", ["conflict_id"])
    op.create_index(op.f("ix_referral_dataset_no_pseudonym"), "referral", ["dataset_no", "pseudonym"])
    op.create_index(op.f("ix_referral_owner_id_id"), "referral", ["owner_id", "id"])
    op.create_index(op.f("ix_referral_preview"), "referral", ["dataset_no", "city_term", "need_term", "budget_term"])
    op.create_index(op.f("ix_referral_recipient_id_id"), "referral", ["recipient_id", "id"])
    op.create_index(op.f("ix_referral_recipient_id_sequence"), "referral", ["recipient_id", "sequence"], unique=True)
    op.create_index(op.f("ix_referral_state_due_at"), "referral", ["state", "due_at"])
    op.create_table(
        "referral_term",
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["referral_id"], ["referral.id"], name=op.f("fk_referral_term_referral_id_referral")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_referral_term_recipient_id_member")),
        sa.PrimaryKeyConstraint("referral_id", "kind", "key_version", "term", name=op.f("pk_referral_term")),
    )
    op.create_index(op.f("ix_referral_term_recipient_id_kind_term"), "referral_term", ["recipient_id", "kind", "term"])
    op.create_table(
        "referral_note",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["referral_id"], ["referral.id"], name=op.f("fk_referral_note_referral_id_referral")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_note")),
    )
    op.create_index(op.f("ix_referral_note_referral_id_at"), "referral_note", ["referral_id", "at"])
    op.create_table(
        "referral_telling",
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["referral_id"], ["referral.id"], name=op.f("fk_referral_telling_referral_id_referral")
        ),
        sa.PrimaryKeyConstraint("referral_id", "what", name=op.f("pk_referral_telling")),
    )
    op.create_index(op.f("ix_referral_telling_next_at"), "referral_telling", ["next_at"])
    op.create_table(
        "referral_policy",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("in_force_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_referral_policy_agreement_id_agreement")
        ),
        sa.ForeignKeyConstraint(["proposed_by"], ["member.id"], name=op.f("fk_referral_policy_proposed_by_member")),
        sa.PrimaryKeyConstraint("agreement_id", "sha256", name=op.f("pk_referral_policy")),
    )

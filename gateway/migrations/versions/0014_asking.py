"""How persons are reached.

Revision 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("subject_key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('own', 'guardian')", name=op.f("ck_contact_role")),
        sa.CheckConstraint("channel IN ('sms', 'email')", name=op.f("ck_contact_channel")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_contact_owner_id_member")),
        sa.PrimaryKeyConstraint("owner_id", "pseudonym", "role", "channel", name=op.f("pk_contact")),
    )
    op.create_table(
        "contact_term",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("key_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "owner_id", "pseudonym", "role", "channel", "key_version", name=op.f("pk_contact_term")
        ),
    )
    op.create_index(op.f("ix_contact_term_term"), "contact_term", ["term"])

"""Rules of bundles, the off switch, and what was offered to whom and why.

Revision 0020.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bundle_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("drafted_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'active', 'retired')", name=op.f("ck_bundle_rules_state")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_bundle_rules_alliance_id_alliance")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_bundle_rules_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle_rules")),
    )
    op.create_index(op.f("ix_bundle_rules_member_id_version"), "bundle_rules", ["member_id", "version"], unique=True)
    op.create_index(
        "uq_bundle_rules_active",
        "bundle_rules",
        ["member_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "bundle_switch",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('on', 'off')", name=op.f("ck_bundle_switch_state")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_bundle_switch_owner_id_member")),
        sa.PrimaryKeyConstraint("owner_id", "pseudonym", name=op.f("pk_bundle_switch")),
    )
    op.create_table(
        "bundle",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("rules_id", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("subject_key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "basis IN ('consented', 'not_consented', 'switched_off', 'not_asked')", name=op.f("ck_bundle_basis")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_bundle_member_id_member")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_bundle_owner_id_member")),
        sa.ForeignKeyConstraint(["rules_id"], ["bundle_rules.id"], name=op.f("fk_bundle_rules_id_bundle_rules")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle")),
    )
    op.create_index(op.f("ix_bundle_owner_id_pseudonym_made_at"), "bundle", ["owner_id", "pseudonym", "made_at"])

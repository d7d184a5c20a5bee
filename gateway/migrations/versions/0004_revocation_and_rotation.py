"""Tokens that are revoked, servers that may ask about them, and the life of the gateway's own keys.

Revision 0004, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revoked_token",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_revoked_token")),
    )
    op.create_index(op.f("ix_revoked_token_expires_at"), "revoked_token", ["expires_at"], unique=False)
    op.create_table(
        "resource_server",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_resource_server_client_id")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_resource_server")),
    )
    with op.batch_alter_table("signing_key") as signing_key:
        for instant in ("active_at", "retiring_at", "retired_at"):
            signing_key.add_column(sa.Column(instant, sa.BigInteger(), nullable=True))
        signing_key.create_check_constraint(
            op.f("ck_signing_key_state"), "state IN ('published', 'active', 'retiring', 'retired')"
        )
    op.execute("UPDATE signing_key SET active_at = created_at")
    for state in ("published", "active"):
        one = sa.text(f"state = '{state}'")
        op.create_index(
            f"uq_signing_key_{state}", "signing_key", ["use"], unique=True, sqlite_where=one, postgresql_where=one
        )

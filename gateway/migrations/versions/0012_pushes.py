"""Addresses that uploads are pushed to, and what is on its way there.

Revision 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "push_address",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stopped_for", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_push_address_alliance_id_alliance")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_push_address_owner_id_member")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_push_address_recipient_id_member")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_push_address_client_id_client")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_push_address_agreement_id_agreement")
        ),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_push_address_dataset_no_dataset")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_address")),
    )
    op.create_index(op.f("ix_push_address_recipient_id_id"), "push_address", ["recipient_id", "id"])
    op.create_index(op.f("ix_push_address_dataset_no_state"), "push_address", ["dataset_no", "state"])
    op.create_table(
        "push_delivery",
        sa.Column("address_id", sa.Text(), nullable=False),
        sa.Column("upload_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("page", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["address_id"], ["push_address.id"], name=op.f("fk_push_delivery_address_id_push_address")
        ),
        sa.ForeignKeyConstraint(["upload_no"], ["upload.no"], name=op.f("fk_push_delivery_upload_no_upload")),
        sa.PrimaryKeyConstraint("address_id", "upload_no", name=op.f("pk_push_delivery")),
    )
    op.create_index(op.f("ix_push_delivery_state_due_at"), "push_delivery", ["state", "due_at"])

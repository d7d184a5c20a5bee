"""How many customers two members share: what was asked, and what it was answered.

Revision 0018.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_REFERENCES = (
    ("alliance_id", "alliance"),
    ("proposer_id", "member"),
    ("proposer_client_id", "client"),
    ("proposer_agreement_id", "agreement"),
    ("acceptor_id", "member"),
    ("acceptor_client_id", "client"),
    ("acceptor_agreement_id", "agreement"),
)


def upgrade() -> None:
    op.create_table(
        "overlap",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("matched_by", sa.Text(), nullable=False),
        sa.Column("proposer_id", sa.Text(), nullable=False),
        sa.Column("proposer_client_id", sa.Text(), nullable=False),
        sa.Column("proposer_agreement_id", sa.Text(), nullable=False),
        sa.Column("proposer_dataset_id", sa.Text(), nullable=False),
        sa.Column("proposer_field", sa.Text(), nullable=False),
        sa.Column("acceptor_id", sa.Text(), nullable=False),
        sa.Column("acceptor_client_id", sa.Text(), nullable=True),
        sa.Column("acceptor_agreement_id", sa.Text(), nullable=False),
        sa.Column("acceptor_dataset_id", sa.Text(), nullable=False),
        sa.Column("acceptor_field", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.Column("at_least", sa.BigInteger(), nullable=True),
        sa.Column("fewer_than", sa.BigInteger(), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.Text(), nullable=True),
        sa.CheckConstraint("matched_by IN ('phone', 'email')", name=op.f("ck_overlap_matched_by")),
        sa.CheckConstraint(
            "state IN ('proposed', 'declined', 'accepted', 'answered', 'refused')", name=op.f("ck_overlap_state")
        ),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_overlap_{column}_{table}"))
            for column, table in _REFERENCES
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overlap")),
    )
    op.create_index(op.f("ix_overlap_proposer_id_id"), "overlap", ["proposer_id", "id"])
    op.create_index(op.f("ix_overlap_acceptor_id_id"), "overlap", ["acceptor_id", "id"])
    op.create_index(op.f("ix_overlap_state_due_at"), "overlap", ["state", "due_at"])
    op.create_index(op.f("ix_overlap_pair_month"), "overlap", ["pair", "month"])
    op.create_table(
        "overlap_sketch",
        sa.Column("overlap_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["overlap_id"], ["overlap.id"], name=op.f("fk_overlap_sketch_overlap_id_overlap")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_overlap_sketch_member_id_member")),
        sa.PrimaryKeyConstraint("overlap_id", "member_id", name=op.f("pk_overlap_sketch")),
    )

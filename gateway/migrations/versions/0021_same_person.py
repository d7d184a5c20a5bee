"""Which subjects of a dataset are one person.

Revision 0021.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "same_person",
        sa.Column("dataset_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_same_person_dataset_no_dataset")),
        sa.PrimaryKeyConstraint("dataset_no", "pseudonym", "other", name=op.f("pk_same_person")),
    )

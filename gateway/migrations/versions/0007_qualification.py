"""What a member is qualified, cleared and placed for.

Revision 0007. Members that were admitted before keep what they had.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("member", sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("member", sa.Column("qualified_until", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "ALTER TABLE member ADD COLUMN clearance BIGINT DEFAULT '0' NOT NULL"
        " CONSTRAINT ck_member_clearance CHECK (clearance BETWEEN 0 AND 4)"
    )
    op.add_column("member", sa.Column("country", sa.Text(), server_default="ZZ", nullable=False))
    op.execute("UPDATE member SET qualified_until = 253402300799000, clearance = 4, country = 'CN'")

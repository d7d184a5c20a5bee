"""How a client authenticates, and what its tokens are bound to.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("client", sa.Column("method", sa.Text(), server_default="private_key_jwt", nullable=False))
    op.add_column("client", sa.Column("binding", sa.Text(), server_default="dpop", nullable=False))
    op.add_column("client", sa.Column("certificate_name", sa.Text(), nullable=True))
    op.add_column("client", sa.Column("certificates", sa.Text(), server_default="[]", nullable=False))
    op.add_column("client", sa.Column("assertion_typ", sa.Text(), server_default="any", nullable=False))
    op.create_index("ix_client_certificate_name", "client", ["certificate_name"], unique=True)

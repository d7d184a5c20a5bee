"""What was put to the policy, kept beside the ledger so that a decision can be made again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from gateway.database import metadata

decided_case = Table(
    "decided_case",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
)

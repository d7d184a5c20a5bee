"""What is kept beside the ledger: decided cases, and the signed messages that entries name by their hash."""

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

signed_message = Table(
    "signed_message",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
)
"""A signed request, or the signed answer to one, by the digest of its signature base. Sealed under the audit key of
the member that asked: the base holds a token, and a digest from which a filter's value could be guessed."""

"""What is stored of keys: wrapped, each bound to its row."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from gateway.database import metadata

member_key = Table(
    "member_key",
    metadata,
    Column("member_id", Text, primary_key=True),
    Column("use", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("provider_key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("check_value", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""L1. `use`: wrap, index, audit. `state`: active, decrypt_only, disabled."""

subject_key = Table(
    "subject_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("member_id", "scope"),
)
"""L2. `scope`: a pseudonym, or `dataset:<dataset id>` for data without a subject. Deleting a row shreds the key."""

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("use", Text, nullable=False, index=True),
    Column("public", LargeBinary, nullable=False),
    Column("provider_key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active_at", BigInteger),
    Column("retiring_at", BigInteger),
    Column("retired_at", BigInteger),
    CheckConstraint("state IN ('published', 'active', 'retiring', 'retired')", name="state"),
)
"""The gateway's own Ed25519 keys. `use`: token, receipt, message, log:<log id>. A
retired key keeps its public half alone."""

for _state in ("published", "active"):  # one key signs, and at most one waits for its turn
    _one = signing_key.c.state == literal_column(f"'{_state}'")
    Index(f"uq_signing_key_{_state}", signing_key.c.use, unique=True, sqlite_where=_one, postgresql_where=_one)

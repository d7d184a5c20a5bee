"""What the ledger keeps: logs, their heads, leaves, complete subtrees, signed checkpoints, quotas, node chains.

A leaf is written once and never changed. A head row is the lock of its log: whoever appends or narrows
locks it first. Level-0 hashes stand in `leaf.hash`; `node` holds the roots of complete subtrees of
256**level leaves, level >= 1, which are the hashes of C2SP tlog-tiles.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text

from gateway.database import metadata

log = Table(
    "log",
    metadata,
    Column("id", Text, primary_key=True),
    Column("origin", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

head = Table(
    "head",
    metadata,
    Column("log_id", Text, ForeignKey("log.id"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("narrowing", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
)

leaf = Table(  # no foreign key: its head row is locked by whoever inserts, and a check per row costs as much as the row
    "leaf",
    metadata,
    Column("log_id", Text, primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("detail", LargeBinary, nullable=True),
)

node = Table(
    "node",
    metadata,
    Column("log_id", Text, primary_key=True),
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoint = Table(  # one row per log, from its opening; an empty note has not been signed yet
    "checkpoint",
    metadata,
    Column("log_id", Text, ForeignKey("log.id"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
)

quota = Table(
    "quota",
    metadata,
    Column("key", Text, primary_key=True),
    Column("window_start", BigInteger, primary_key=True, autoincrement=False),
    Column("used", BigInteger, nullable=False),
)

chain = Table(  # the newest entry of each node, across its logs and boots
    "chain",
    metadata,
    Column("node", Text, primary_key=True),
    Column("boot_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

"""Datasets, uploads, sealed records and index terms.

A record can be read when its upload is `published`: join `upload` on `record.upload_no` and compare the state.
Nothing here holds a value in clear: `sealed` is the vault's, `pseudonym` and `term` are keyed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata

KEY_TERM = 62
"""The `field_number` under which `record_term` holds the term of a record's `x-unique` fields; no field has it."""

dataset = Table(
    "dataset",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),  # random
    Column("id", Text, nullable=False, unique=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # market, product, personal
    Column("schema", Text, nullable=False),  # canonical JSON Schema; x-number keeps the order of declaration
    Column("subject_field", Text),  # null unless personal
    Column("version", BigInteger, nullable=False),  # moves with the schema and the state, not with the data
    Column("created_at", BigInteger, nullable=False),
    Index(None, "owner_id", "name", unique=True),
)

upload = Table(
    "upload",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),  # random
    Column("id", Text, nullable=False, unique=True),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("mode", Text, nullable=False),  # append, replace
    Column("state", Text, nullable=False),  # staged, published, superseded, failed, quarantined
    Column("accepted", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("report", Text, nullable=False),  # JSON, without any cell value
    Column("started_at", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False),  # moves with every staged chunk
    Column("published_at", BigInteger),
    Index(None, "dataset_no", "state"),
    Index(None, "state", "touched_at"),
)

record = Table(
    "record",
    metadata,
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), primary_key=True, autoincrement=False),
    Column("id", LargeBinary, primary_key=True),  # 16 random bytes
    Column("version", BigInteger, nullable=False),
    Column("upload_no", BigInteger, ForeignKey("upload.no"), nullable=False, index=True),
    Column("subject_key_id", Text, nullable=False),  # the row of subject_key goes first when a subject is shredded
    Column("pseudonym", Text, nullable=False),  # '' without a subject
    Column("sealed", LargeBinary, nullable=False),
)
Index(  # where an owner holds anything of a person
    "ix_record_person",
    record.c.pseudonym,
    record.c.dataset_no,
    sqlite_where=record.c.pseudonym != "",
    postgresql_where=record.c.pseudonym != "",
)

record_term = Table(
    "record_term",
    metadata,
    Column("dataset_no", BigInteger, primary_key=True, autoincrement=False),
    Column("field_number", BigInteger, primary_key=True, autoincrement=False),
    Column("term", LargeBinary, primary_key=True),
    Column("record_id", LargeBinary, primary_key=True),
    Column("upload_no", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

legal_hold = Table(  # while a row stands, what replaced uploads of the dataset held is kept unseen, and not deleted
    "legal_hold",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("dataset_id", Text, primary_key=True),
    Index(None, "dataset_id"),
)

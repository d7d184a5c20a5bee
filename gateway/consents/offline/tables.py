"""Batches of offline consents and their rows. Instants in milliseconds.

A row names the record that it became; persons stand there, as keyed pseudonyms. Of the archive only digests are kept.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

offline_batch = Table(
    "offline_batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("archive_sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("report", Text, nullable=False),  # JSON, without any cell value; '' until imported
    Column("rows_sha256", Text, nullable=False),  # over the digests of its chunks; '' until imported
    Column("started_at", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False),  # moves with every chunk
    Column("imported_at", BigInteger),
    Column("plan", Text, nullable=False),  # JSON, as is the next; '' until a sample is drawn
    Column("seed", Text, nullable=False),
    Column("sample", BigInteger, nullable=False),  # how many rows were drawn
    Column("decided_at", BigInteger),
    Column("settled_at", BigInteger),  # when every record had followed what was decided
    CheckConstraint("state IN ('importing', 'failed', 'imported', 'sampled', 'accepted', 'invalidated')", name="state"),
    Index(None, "owner_id", "id"),
    Index(None, "state", "settled_at"),
)
Index(  # an archive is imported once, unless that failed
    "uq_offline_batch_archive",
    offline_batch.c.dataset_no,
    offline_batch.c.archive_sha256,
    unique=True,
    sqlite_where=offline_batch.c.state != "failed",
    postgresql_where=offline_batch.c.state != "failed",
)

offline_row = Table(
    "offline_row",
    metadata,
    Column("batch_id", Text, ForeignKey("offline_batch.id"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", Text, ForeignKey("consent_record.id"), nullable=False),
    Column("evidence_sha256", Text, nullable=False),
    Column("drawn", BigInteger, nullable=False),  # 1 in the sample
    Column("verdict", Text, nullable=False),  # '' until looked at
    Column("seen_sha256", Text, nullable=False),  # of the evidence that was looked at
    Column("marked_by", Text, nullable=False),
    Column("marked_at", BigInteger),
    CheckConstraint("verdict IN ('', 'good', 'bad')", name="verdict"),
    Index(None, "record_id", unique=True),
    Index(None, "batch_id", "drawn"),
)

_STATED = ("batch_id", "line", "record_id", "evidence_sha256")
guarded(
    offline_row,
    [
        Guard(
            "offline_row_keeps_its_verdict",
            "UPDATE",
            "archived: what was imported, and how a sample was judged, is never rewritten",
            lambda differs: f"old.verdict <> '' OR {changed(_STATED, differs)}",
        ),
        Guard("offline_row_stays", "DELETE", "archived: what was imported is never removed"),
    ],
)
guarded(
    offline_batch,
    [
        Guard(
            "offline_batch_keeps_its_draw",
            "UPDATE",
            "archived: a sample is drawn once",
            lambda differs: f"old.seed <> '' AND ({changed(('seed', 'plan', 'sample', 'rows_sha256'), differs)})",
        )
    ],
)

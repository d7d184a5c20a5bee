"""Consents and withdrawals. Persons appear as keyed pseudonyms only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ColumnElement, ForeignKey, Index, Table, Text, and_
from sqlalchemy.sql.expression import FromClause

from gateway.database import metadata

consent = Table(
    "consent",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("fields", BigInteger, nullable=False),  # bit n stands for field number n, 0..61
    Column("given_at", BigInteger, nullable=False),  # seconds, as are the next two
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_kind", Text),  # withdrawn, superseded
    Column("evidence_sha256", Text, nullable=False),
    Column("notice_sha256", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),  # milliseconds
)

Index("ix_consent_item", *(consent.c[n] for n in ("dataset_no", "recipient_id", "purpose", "pseudonym")))
Index("ix_consent_subject", consent.c.dataset_no, consent.c.pseudonym)
Index(
    "uq_consent_standing",
    *(consent.c[n] for n in ("dataset_no", "recipient_id", "purpose", "pseudonym")),
    unique=True,
    sqlite_where=consent.c.ended_at.is_(None),
    postgresql_where=consent.c.ended_at.is_(None),
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("recipient_id", Text, nullable=False),  # '' for every recipient
    Column("purpose", Text, nullable=False),  # '' for every purpose
    Column("withdrawn_at", BigInteger, nullable=False),  # seconds
    Column("recorded_at", BigInteger, nullable=False),  # milliseconds
    Index(None, "dataset_no", "pseudonym"),
)


def live(of: FromClause, now: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition under which a consent (the table or an alias of it) permits at `now`, epoch seconds.

    Given at or before that instant, not yet expired, not ended. At most one row per dataset, recipient,
    purpose and pseudonym meets it: `uq_consent_standing` sees to that. Give `bindparam("now", type_=BigInteger)`.
    """
    return and_(of.c.given_at <= now, of.c.expires_at > now, of.c.ended_at.is_(None))

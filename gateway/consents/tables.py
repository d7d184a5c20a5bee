"""Notices, consents, their records and receipts, and withdrawals. Persons appear as keyed pseudonyms only.

`consent` is what reads join: one row per item that is or was given. `consent_record` is its whole life, `consent_event`
every step of it, chained by hashes and never changed; so is a notice once it is published.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    and_,
    or_,
)
from sqlalchemy.sql.expression import FromClause

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

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
    Column("end_kind", Text),  # the state that it left GIVEN for; a lifted hold clears both
    Column("evidence_sha256", Text, nullable=False),
    Column("notice_sha256", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),  # milliseconds, as is the next
    Column("disclosed_at", BigInteger),  # of the first permit that names it, set with that entry
    Column("uses_left", BigInteger),  # null for any number
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
Index(
    "ix_consent_used_up",
    consent.c.id,
    sqlite_where=and_(consent.c.uses_left == 0, consent.c.ended_at.is_(None)),
    postgresql_where=and_(consent.c.uses_left == 0, consent.c.ended_at.is_(None)),
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("recipient_id", Text, nullable=False),  # '' for every recipient, '*' in every dataset of the owner too
    Column("purpose", Text, nullable=False),  # '' for every purpose
    Column("withdrawn_at", BigInteger, nullable=False),  # seconds
    Column("recorded_at", BigInteger, nullable=False),  # milliseconds
    Index(None, "dataset_no", "pseudonym"),
)

same_person = Table(
    "same_person",
    metadata,
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), primary_key=True, autoincrement=False),
    Column("pseudonym", Text, primary_key=True),
    Column("other", Text, primary_key=True),
)
"""Subjects that are one person, by the owner's word: a row from either side."""

notice = Table(
    "notice",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON, in both languages
    Column("state", Text, nullable=False),
    Column("material", BigInteger),  # 1 where it changed what is consented to, against the version before
    Column("used_from", BigInteger),  # seconds, as is the next: when it was in use
    Column("retired_at", BigInteger),
    Column("published_at", BigInteger),  # milliseconds
    UniqueConstraint("dataset_no", "name", "version"),
    CheckConstraint("state IN ('draft', 'published', 'retired')", name="state"),
    Index(None, "dataset_no", "sha256"),
)
_KEPT = ("owner_id", "dataset_no", "name", "version", "sha256", "document", "material", "used_from", "published_at")
guarded(
    notice,
    [
        Guard(
            "notice_keeps_its_text",
            "UPDATE",
            "archived: a published notice keeps its text",
            lambda differs: f"old.state <> 'draft' AND ({changed(_KEPT, differs)})",
        ),
        Guard("notice_stays", "DELETE", "archived: a published notice stays", lambda _: "old.state <> 'draft'"),
    ],
)

consent_record = Table(
    "consent_record",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fields", BigInteger, nullable=False),  # bits, as in `consent`; none for a contact
    Column("optional", BigInteger, nullable=False),  # those of them that the person may leave out
    Column("channels", Text, nullable=False),  # of a contact, in the order of their names, by spaces
    Column("state", Text, nullable=False),
    Column(
        "sequence", BigInteger, nullable=False
    ),  # of the newest event; 0 for what was recorded before there were any
    Column("notice_id", Text, ForeignKey("notice.id")),
    Column("notice_sha256", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("request_id", Text),
    Column("term_s", BigInteger, nullable=False),  # how long it stands once given
    Column("given_at", BigInteger),  # seconds, as are the next three
    Column("expires_at", BigInteger),  # before it is given: until when it can be
    Column("stale_at", BigInteger),
    Column("due_at", BigInteger),  # the clock's next step; null once it takes none
    Column("max_uses", BigInteger),
    Column("supersedes", Text),
    Column("origin", Text, nullable=False),
    Column("age_band", Text, nullable=False),
    Column("guardian", Text),  # JSON, as is the next
    Column("collection", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),  # milliseconds, as is the next
    Column("recorded_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('disclosure', 'contact')", name="kind"),
    CheckConstraint("origin IN ('page', 'owner', 'offline')", name="origin"),
    Index(None, "owner_id", "pseudonym"),
    Index(None, "request_id"),
    Index(None, "due_at"),
    Index(None, "notice_id"),
)

consent_event = Table(
    "consent_event",
    metadata,
    Column("record_id", Text, ForeignKey("consent_record.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds
    Column("by", Text, nullable=False),  # JSON, as is the next
    Column("details", Text, nullable=False),
    Column("previous_sha256", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)
guarded(
    consent_event,
    [
        Guard("consent_event_is_kept", "UPDATE", "archived: the events of a consent are kept"),
        Guard("consent_event_stays", "DELETE", "archived: the events of a consent are kept"),
    ],
)

consent_receipt = Table(
    "consent_receipt",
    metadata,
    Column("id", Text, primary_key=True),
    Column("record_id", Text, ForeignKey("consent_record.id"), nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("jws", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds
    UniqueConstraint("record_id", "event_sequence", "kind"),
)


def live(of: FromClause, now: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition under which a consent (the table or an alias of it) permits at `now`, epoch seconds.

    Given at or before that instant, not yet expired, not ended, not used up. At most one row per dataset, recipient,
    purpose and pseudonym meets it: `uq_consent_standing` sees to that. Give `bindparam("now", type_=BigInteger)`.
    """
    return and_(
        of.c.given_at <= now,
        of.c.expires_at > now,
        of.c.ended_at.is_(None),
        or_(of.c.uses_left.is_(None), of.c.uses_left > 0),
    )

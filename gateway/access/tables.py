"""What is kept beside the ledger: decided cases, signed messages that entries name by hash, pushes, disclosures."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

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

push_address = Table(
    "push_address",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("state", Text, nullable=False),  # active, stopped
    Column("stopped_for", Text),  # the code of the reason; null while active
    Column("created_at", BigInteger, nullable=False),
    Index(None, "recipient_id", "id"),
    Index(None, "dataset_no", "state"),
)
"""Where a recipient wants what is published under one agreement for one purpose to be sent."""

push_delivery = Table(
    "push_delivery",
    metadata,
    Column("address_id", Text, ForeignKey("push_address.id"), primary_key=True),
    Column("upload_no", BigInteger, ForeignKey("upload.no"), primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),  # due, done, given_up
    Column("page", BigInteger, nullable=False),  # the one to be acknowledged next, from 1
    Column("message_id", Text, nullable=False),  # of that page, in every attempt
    Column("cursor", Text),  # where it begins
    Column("records", BigInteger, nullable=False),  # acknowledged so far
    Column("attempts", BigInteger, nullable=False),  # of that page
    Column("due_at", BigInteger, nullable=False),
    Column("last_code", Text),  # why the last attempt failed
    Index(None, "state", "due_at"),
)
"""One upload on its way to one address."""

disclosure = Table(
    "disclosure",
    metadata,
    Column("log_id", Text, ForeignKey("log.id"), primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", Text, primary_key=True),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("pseudonym", Text, nullable=False),  # '' where the record was gone before it was looked up
    Column("consent_id", Text, nullable=False),  # '' where the entry does not prove which
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("agreement_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),  # their names, JSON
    Index(None, "log_id", "pseudonym"),
    Index(None, "log_id", "record_id"),
)
"""The disclosure log: what an entry of a log opened of one record. An index of the log, rebuilt from it."""

disclosure_cursor = Table(
    "disclosure_cursor",
    metadata,
    Column("log_id", Text, ForeignKey("log.id"), primary_key=True),
    Column("next", BigInteger, nullable=False),
)
"""How far a log is indexed."""

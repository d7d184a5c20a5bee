"""How persons are reached. Persons are pseudonyms; an address is sealed, and found by keyed terms alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata

contact = Table(
    "contact",
    metadata,
    Column("owner_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("pseudonym", Text, primary_key=True),
    Column("role", Text, primary_key=True),  # own, guardian
    Column("channel", Text, primary_key=True),  # sms, email
    Column("subject_key_id", Text, nullable=False),  # whose row goes first when the person is shredded
    Column("sealed", Text, nullable=False),  # under that key
    Column("stated_at", BigInteger, nullable=False),  # when the owner last said so
    Column("verified_at", BigInteger),  # when a code that was sent there was last entered
    CheckConstraint("role IN ('own', 'guardian')", name="role"),
    CheckConstraint("channel IN ('sms', 'email')", name="channel"),
)
"""One number and one address of a person, and of whoever decides for them. The newest that was stated counts."""

contact_term = Table(
    "contact_term",
    metadata,
    Column("owner_id", Text, primary_key=True),
    Column("pseudonym", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("key_version", BigInteger, primary_key=True, autoincrement=False),
    Column("term", LargeBinary, nullable=False),
    Index(None, "term"),
)
"""The blind index: HMAC-SHA-256 of the address under each version of the gateway's own index key."""

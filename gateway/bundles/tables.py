"""Rules of bundles, the off switch, and what was offered and why. Persons are pseudonyms, and reasons are sealed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata

bundle_rules = Table(
    "bundle_rules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("text", Text, nullable=False),  # canonical JSON
    Column("sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("drafted_at", BigInteger, nullable=False),
    Column("approved_at", BigInteger),
    CheckConstraint("state IN ('draft', 'active', 'retired')", name="state"),
    Index(None, "member_id", "version", unique=True),
)
Index(
    "uq_bundle_rules_active",
    bundle_rules.c.member_id,
    unique=True,
    sqlite_where=bundle_rules.c.state == "active",
    postgresql_where=bundle_rules.c.state == "active",
)

bundle_switch = Table(
    "bundle_switch",
    metadata,
    Column("owner_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("pseudonym", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    CheckConstraint("state IN ('on', 'off')", name="state"),
)
"""Whether a person lets bundles be made from its data; without a row, its consents alone say so."""

bundle = Table(
    "bundle",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),  # that serves the person
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),  # of the person's data
    Column("pseudonym", Text, nullable=False),
    Column("rules_id", Text, ForeignKey("bundle_rules.id"), nullable=False),
    Column("basis", Text, nullable=False),
    Column("subject_key_id", Text, nullable=False),  # whose row goes first when the person is shredded
    Column("sealed", Text, nullable=False),  # what was offered and why, under that key
    Column("made_at", BigInteger, nullable=False),
    CheckConstraint("basis IN ('consented', 'not_consented', 'switched_off', 'not_asked')", name="basis"),
)
Index(None, bundle.c.owner_id, bundle.c.pseudonym, bundle.c.made_at)

"""Who belongs to an alliance, and the keys that members sign agreements with.

A member's row stands for nothing that it was not given: unstated, its papers have run out (`qualified_until` 0 ms),
it is cleared for no grade, and its country is nobody's (ZZ). `revision` moves with every fact that the policy sees.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

alliance = Table(
    "alliance",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("environment", Text, nullable=False, server_default="production"),
    CheckConstraint("environment IN ('production', 'test')", name="environment"),
)
guarded(
    alliance,
    [
        Guard(
            "alliance_keeps_its_environment",
            "UPDATE",
            "archived: an alliance keeps its environment",
            lambda differs: changed(("environment",), differs),
        )
    ],
)

member = Table(
    "member",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("uscc", Text, nullable=False),
    Column("industry", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("qualified_until", BigInteger, nullable=False, server_default="0"),
    Column("clearance", BigInteger, nullable=False, server_default="0"),
    Column("country", Text, nullable=False, server_default="ZZ"),
    UniqueConstraint("alliance_id", "uscc"),
    CheckConstraint("state IN ('prospect', 'admitted', 'suspended')", name="state"),
    CheckConstraint("clearance BETWEEN 0 AND 4", name="clearance"),
)
Index(None, member.c.alliance_id, member.c.id)

member_signing_key = Table(
    "member_signing_key",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("jwk", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    CheckConstraint("state IN ('active', 'revoked')", name="state"),
)
Index(None, member_signing_key.c.member_id)

key_confirmation = Table(
    "key_confirmation",
    metadata,
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("fingerprint", Text, ForeignKey("member_signing_key.fingerprint"), primary_key=True),
    Column("confirmed_at", BigInteger, nullable=False),
)

"""Asking persons: requests, the links that lead to them, visits, and how often a number was written to.

Tokens and cookies stand here as SHA-256, codes under a key that only the visitor's cookie gives.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata

consent_request = Table(
    "consent_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("role", Text, nullable=False),  # who is asked: own, guardian
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("term", LargeBinary, nullable=False),  # of the address, as in the blind index
    Column("relation", Text, nullable=False),  # of a guardian; else ''
    Column("state", Text, nullable=False),  # open, deferred, answered, lapsed
    Column("attempts", BigInteger, nullable=False),  # to hand on the newest message
    Column("sent_at", BigInteger),  # milliseconds, as are the next four
    Column("reminded_at", BigInteger),
    Column("next_at", BigInteger),  # when it is sent again, reminded of, or lapses; null once it is over
    Column("ends_at", BigInteger, nullable=False),  # of the newest link
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("role IN ('own', 'guardian')", name="role"),
    CheckConstraint("state IN ('open', 'deferred', 'answered', 'lapsed')", name="state"),
    Index(None, "next_at"),
    Index(None, "owner_id", "id"),
)
"""One question to one person, about one or more items: the records that name it."""

asking_link = Table(
    "asking_link",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # request, guardian, self_service
    Column("request_id", Text, ForeignKey("consent_request.id")),  # null for self_service
    Column("persons", Text, nullable=False),  # JSON: owner, pseudonym, role
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("term", LargeBinary, nullable=False),  # of the address that it was sent to, as that of its visits
    Column("opened", BigInteger, nullable=False),  # how often
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
    CheckConstraint("kind IN ('request', 'guardian', 'self_service')", name="kind"),
    Index(None, "request_id"),
    Index(None, "expires_at"),
)

visit = Table(
    "visit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cookie_sha256", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # of its link
    Column("request_id", Text, ForeignKey("consent_request.id")),
    Column("persons", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("term", LargeBinary, nullable=False),
    Column("code_mac", LargeBinary),  # of the newest code; null once it was used
    Column("code_expires_at", BigInteger),
    Column("attempts", BigInteger, nullable=False),  # at the newest code
    Column("confirmed_until", BigInteger),
    Column("ends_at", BigInteger, nullable=False),
    Index(None, "ends_at"),
)

written_to = Table(
    "written_to",
    metadata,
    Column("use", Text, primary_key=True),  # code, link, or request and its owner
    Column("term", LargeBinary, primary_key=True),  # of the blind index
    Column("since", BigInteger, nullable=False),  # when the day began
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index(None, "last_at"),
)
"""How often a number or an address was written to within a day."""

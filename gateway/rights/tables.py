"""Requests of persons, what members are asked for them, and links to exports. Instants in milliseconds.

Persons are keyed pseudonyms; what they and the owner wrote is sealed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

rights_request = Table(
    "rights_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("behalf", Text, nullable=False),  # who asks: the person, a guardian, or the next of kin
    Column("origin", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("sealed", Text, nullable=False),  # what was asked, in the person's words
    Column("state", Text, nullable=False),
    Column("identity", Text, nullable=False),  # JSON: how it was shown who asks; '' until then
    Column("received_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("provisional", BigInteger, nullable=False),
    Column("extended", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),  # sealed; '' until answered
    Column("outcome", Text, nullable=False),  # JSON; '' until answered
    Column("decided_at", BigInteger),
    Column("case_id", Text, ForeignKey("case_file.id")),  # the breach candidate, where it is late
    CheckConstraint("state IN ('received', 'open', 'answered', 'refused', 'restricted', 'retracted')", name="state"),
    CheckConstraint("behalf IN ('self', 'guardian', 'next_of_kin')", name="behalf"),
    CheckConstraint("origin IN ('page', 'owner')", name="origin"),
    Index(None, "owner_id", "id"),
    Index(None, "owner_id", "pseudonym"),
    Index(None, "state", "due_at"),
)

rights_task = Table(
    "rights_task",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("rights_request.id"), nullable=False),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # '' until done
    Column("sealed", Text, nullable=False),  # what the member wrote; '' until done
    Column("asked_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Column("case_id", Text, ForeignKey("case_file.id")),
    CheckConstraint("state IN ('open', 'done')", name="state"),
    Index(None, "request_id", "member_id", unique=True),
    Index(None, "member_id", "id"),
    Index(None, "state", "due_at"),
)

rights_export = Table(
    "rights_export",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("rights_request.id"), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("fetches_left", BigInteger, nullable=False),  # how often it may still be fetched
    Index(None, "request_id"),
)

_ASKED = ("id", "owner_id", "pseudonym", "kind", "profile", "behalf", "origin", "sealed", "received_at")
guarded(
    rights_request,
    [
        Guard(
            "rights_request_keeps_what_was_asked",
            "UPDATE",
            "archived: what a person asked for is never rewritten",
            lambda differs: changed(_ASKED, differs),
        ),
        Guard("rights_request_stays", "DELETE", "archived: what a person asked for is never removed"),
    ],
)

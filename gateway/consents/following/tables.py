"""What recipients have to do about consents that ended, the messages that tell them, and where these are sent.

Persons appear as keyed pseudonyms only, and no message holds one. Instants in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    literal,
)

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

follow_up = Table(
    "follow_up",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("consent_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("agreement_id", Text, ForeignKey("agreement.id")),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),  # who answers
    Column("holder", Text, nullable=False),  # '' the recipient itself; else a company outside, which it answers for
    Column("named_in", Text, ForeignKey("follow_up.id")),  # the follow-up whose recipient, or whose grant, named it
    Column("cause", Text, nullable=False),
    Column("event_id", Text, nullable=False),  # the entry of the owner's log by which it was queued
    Column("state", Text, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("acknowledge_by", BigInteger, nullable=False),
    Column("comply_by", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("complied_at", BigInteger),
    Column("verified_at", BigInteger),
    Column("how", Text),
    Column("legal", Text),  # the law by which it is retained
    Column("proof_sha256", Text),
    Column("proof_text", Text),
    Column("reminded", BigInteger, nullable=False),  # how many of the reminders
    Column("overdue_at", BigInteger),  # when it was settled that it is
    Column("case_id", Text, ForeignKey("case_file.id")),
    UniqueConstraint("event_id", "recipient_id", "holder"),
    CheckConstraint(
        "state IN ('queued', 'sent', 'failed', 'delivered', 'acknowledged', 'complied', 'verified')", name="state"
    ),
    Index(None, "recipient_id", "id"),
    Index(None, "owner_id", "pseudonym"),
    Index(None, "consent_id"),
    Index(None, "state", "acknowledge_by"),
)
"""What one recipient has to do about one ending."""

withdrawal_message = Table(
    "withdrawal_message",
    metadata,
    Column("id", Text, primary_key=True),  # the `webhook-id` of every attempt; a follow-up's own id, or a reminder's
    Column("log_id", Text, ForeignKey("log.id"), nullable=False),  # where it is entered that it was taken
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("content", Text),  # null until the first attempt
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("last_code", Text),
    CheckConstraint("state IN ('due', 'delivered', 'given_up')", name="state"),
    Index(None, "state", "due_at"),
)
"""One message on its way to one recipient: about one follow-up, or a reminder of several."""

withdrawal_address = Table(
    "withdrawal_address",
    metadata,
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("uri", Text, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
)
"""Where a member wants to be told. It counts while the client that named it stands."""

_FIXED = ("owner_id", "dataset_no", "pseudonym", "recipient_id", "holder", "cause", "event_id", "queued_at")
guarded(
    follow_up,
    [
        Guard(
            "follow_up_keeps_its_origin",
            "UPDATE",
            "archived: who has to do what is never rewritten",
            lambda differs: changed((*_FIXED, "comply_by"), differs),
        ),
        Guard("follow_up_stays", "DELETE", "archived: a follow-up is never removed"),
    ],
)


def stands_at(states: Iterable[str]) -> ColumnElement[bool]:
    """The condition that a follow-up stands at one of these states."""
    return follow_up.c.state.in_([literal(state) for state in states])

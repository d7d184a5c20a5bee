"""Overlaps: who asked, who agreed, how far it came, and its answer. No row holds a person, a set, or an exact count."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata

overlap = Table(
    "overlap",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("pair", Text, nullable=False),  # both members' ids, the lesser first
    Column("matched_by", Text, nullable=False),
    Column("proposer_id", Text, ForeignKey("member.id"), nullable=False),
    Column("proposer_client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("proposer_agreement_id", Text, ForeignKey("agreement.id"), nullable=False),  # of the data that it owns
    Column("proposer_dataset_id", Text, nullable=False),
    Column("proposer_field", Text, nullable=False),
    Column("acceptor_id", Text, ForeignKey("member.id"), nullable=False),
    Column("acceptor_client_id", Text, ForeignKey("client.id")),
    Column("acceptor_agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("acceptor_dataset_id", Text, nullable=False),
    Column("acceptor_field", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("month", Text),  # that its acceptance counts in, as 2026-11
    Column("due_at", BigInteger, nullable=False),  # while accepted: when it is tried next
    Column("attempts", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),  # sides read so far, for whoever waits
    Column("last_code", Text),  # why it was refused, or why the last attempt failed
    Column("at_least", BigInteger),
    Column("fewer_than", BigInteger),
    Column("method", Text),
    Column("answered_at", BigInteger),
    Column("repeats", Text),  # the overlap whose answer this is again
    CheckConstraint("matched_by IN ('phone', 'email')", name="matched_by"),
    CheckConstraint("state IN ('proposed', 'declined', 'accepted', 'answered', 'refused')", name="state"),
)
Index(None, overlap.c.proposer_id, overlap.c.id)
Index(None, overlap.c.acceptor_id, overlap.c.id)
Index(None, overlap.c.state, overlap.c.due_at)
Index(None, overlap.c.pair, overlap.c.month)

overlap_sketch = Table(
    "overlap_sketch",
    metadata,
    Column("overlap_id", Text, ForeignKey("overlap.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("sealed", Text, nullable=False),  # under the member's own key
)
"""What a counted set looked like, so that a later one can be told to be nearly the same; no element is in it."""

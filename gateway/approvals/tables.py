"""Proposals, with the rule of four eyes as the database holds it.

Whoever writes past the gateway's code meets the same rule: a proposal is born pending, its words never change, it
is decided once, before it expires, and approved by somebody who did not propose it and is no client.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

CLIENT: Final = "client:"
"""How the names of proposers that are clients begin."""

proposal = Table(
    "proposal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("act", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("arguments_sha256", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", BigInteger),
    Column("made", Text),
    CheckConstraint("state IN ('pending', 'approved', 'declined', 'withdrawn')", name="state"),
    CheckConstraint(
        "(state = 'pending') = (decided_by IS NULL) AND (state = 'pending') = (decided_at IS NULL)"
        " AND (state = 'approved') = (made IS NOT NULL)",
        name="decided",
    ),
    CheckConstraint("state = 'pending' OR (state = 'withdrawn') = (decided_by = proposed_by)", name="four_eyes"),
    CheckConstraint(f"state <> 'approved' OR substr(decided_by, 1, {len(CLIENT)}) <> '{CLIENT}'", name="people"),
    CheckConstraint("state <> 'approved' OR decided_at < expires_at", name="in_time"),
)
Index(None, proposal.c.alliance_id, proposal.c.state, proposal.c.expires_at)

_KEPT = "archived: a proposal keeps its words, and is decided once"
_FIXED = (
    "id", "alliance_id", "act", "arguments", "arguments_sha256", "proposed_by", "proposed_at", "expires_at",
)  # fmt: skip

guarded(
    proposal,
    [
        Guard("proposal_begins_pending", "INSERT", _KEPT, lambda _: "new.state <> 'pending'"),
        Guard(
            "proposal_is_kept", "UPDATE", _KEPT, lambda differs: f"old.state <> 'pending' OR {changed(_FIXED, differs)}"
        ),
        Guard("proposal_stays", "DELETE", _KEPT),
    ],
)

"""What was due and how it ended, and what has to be returned or destroyed. Instants in milliseconds.

A duty is settled once, by one row. What lies ahead is no row: it is reckoned from the signed terms.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, guarded

duty = Table(
    "duty",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("dataset_id", Text, primary_key=True),
    Column("period", Text, primary_key=True),  # the day as agreed, ISO 8601
    Column("due_at", BigInteger, nullable=False),
    Column("grace_until", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("upload_id", Text),  # what fulfilled it
    Column("case_id", Text, ForeignKey("case_file.id")),  # the breach candidate, where it was missed
    Column("settled_at", BigInteger, nullable=False),
    CheckConstraint("state IN ('delivered', 'missed', 'waived')", name="state"),
)

return_duty = Table(
    "return_duty",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("ended_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # nothing: this member holds nothing, or holds it on under an amendment
    Column("outcome", Text, nullable=False),  # '' until certified
    Column("certificate", Text, nullable=False),  # compact JWS, '' until certified
    Column("fingerprint", Text, nullable=False),  # of the key that signed it
    Column("certified_at", BigInteger),
    Column("case_id", Text, ForeignKey("case_file.id")),  # the breach candidate, where it is overdue
    CheckConstraint("state IN ('nothing', 'open', 'certified')", name="state"),
    Index(None, "member_id"),
)

duty_watch = Table(  # when an agreement has to be looked at again; without a row, or at another version: now
    "duty_watch",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Index(None, "next_at"),
)

_SETTLED = "archived: how a duty ended is never rewritten or removed"
guarded(
    duty,
    [
        Guard("duty_keeps_its_end", "UPDATE", _SETTLED),
        Guard("duty_stays", "DELETE", _SETTLED),
    ],
)
guarded(
    return_duty,
    [
        Guard("return_duty_keeps_its_certificate", "UPDATE", _SETTLED, lambda _: "old.state <> 'open'"),
        Guard("return_duty_stays", "DELETE", _SETTLED),
    ],
)

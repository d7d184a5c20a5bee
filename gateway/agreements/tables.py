"""Agreements, every text that was proposed for them, their signatures, and holds.

What was signed can be neither rewritten nor removed; a draft's text is replaced, and each former one is kept.

The triggers are a second lock, not the proof: the proof is the signatures, verified whenever an
agreement is loaded. An agreement that was terminated never changes again; its `revision` alone moves, with the
facts beside the terms. A hold stands until `until` (ms) or until it is lifted.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

agreement = Table(
    "agreement",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("terms", LargeBinary, nullable=False),
    Column("terms_sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("signed_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("superseded_by", Text),  # the agreement that replaced it; then its state is terminated
    Column("revision", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("state IN ('draft', 'signed', 'terminated')", name="state"),
    CheckConstraint("owner_id <> recipient_id", name="parties"),
)
Index(None, agreement.c.owner_id, agreement.c.id)
Index(None, agreement.c.recipient_id, agreement.c.id)

agreement_third_party = Table(
    "agreement_third_party",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
)
"""Whom the terms name beside the parties: a way to find the agreement, and no proof. The signed terms decide."""

agreement_text = Table(
    "agreement_text",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("terms", LargeBinary, nullable=False),
    Column("terms_sha256", Text, nullable=False),
    Column("author_id", Text, ForeignKey("member.id")),  # null: drafted before authors were kept
    Column("proposed_at", BigInteger, nullable=False),
)

agreement_signature = Table(
    "agreement_signature",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("fingerprint", Text, ForeignKey("member_signing_key.fingerprint"), nullable=False),
    Column("jws", Text, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
)

agreement_pdf = Table(
    "agreement_pdf",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("pdf", LargeBinary, nullable=False),
    Column("pdf_sha256", Text, nullable=False),
    Column("terms_sha256", Text, nullable=False),
    Column("trusted_by", Text, nullable=False),  # registered_key, trust_root
    Column("certificate_sha256", Text, nullable=False),
    Column("attached_at", BigInteger, nullable=False),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("lifted_at", BigInteger),
    Column("until", BigInteger, nullable=False, server_default="253402300799000"),
    CheckConstraint(
        "subject_kind IN ('dataset', 'agreement', 'term', 'recipient_of_owner', 'referral', 'ledger_line', 'memo')",
        name="subject_kind",
    ),
    CheckConstraint("state IN ('active', 'lifted')", name="state"),
)
Index(None, hold.c.subject_kind, hold.c.subject_id)
Index(None, hold.c.alliance_id, hold.c.case_id)

_ARCHIVED = "archived: agreements and signatures are never rewritten or removed"
_FIXED = ("id", "alliance_id", "owner_id", "recipient_id", "created_at")
_TEXT = ("terms", "terms_sha256")
_LIFE = ("version", "state", "signed_at", "ended_at", "superseded_by")


def _rewrites(distinct: str) -> str:
    """The condition under which an UPDATE of an agreement rewrites history."""
    return " OR ".join(
        [
            changed(_FIXED, distinct),
            f"((old.state <> 'draft' OR new.version <= old.version) AND ({changed(_TEXT, distinct)}))",
            f"(old.signed_at IS NOT NULL AND new.signed_at {distinct} old.signed_at)",
            f"(old.state = 'terminated' AND ({changed(_LIFE, distinct)}))",
            "(old.state = 'signed' AND new.state = 'draft')",
            f"(new.version <= old.version AND ({changed(_LIFE, distinct)}))",
            "new.revision < old.revision",
            "(new.version = old.version AND new.revision = old.revision)",
        ]
    )


guarded(
    agreement,
    [
        Guard("agreement_keeps_its_text", "UPDATE", _ARCHIVED, _rewrites),
        Guard("agreement_stays", "DELETE", _ARCHIVED),
    ],
)
for kept in (agreement_signature, agreement_text, agreement_pdf):
    guarded(
        kept,
        [
            Guard(f"{kept.name}_keeps_its_text", "UPDATE", _ARCHIVED),
            Guard(f"{kept.name}_stays", "DELETE", _ARCHIVED),
        ],
    )

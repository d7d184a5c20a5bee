"""Referrals. A person is a keyed pseudonym here, a contact a keyed term, a preview sealed; times in milliseconds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata

referral = Table(
    "referral",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("dataset_id", Text, ForeignKey("dataset.id"), nullable=False),
    Column("dataset_no", BigInteger, ForeignKey("dataset.no"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),  # the referrer
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("subject_key_id", Text, nullable=False),  # whose row goes first when the person is shredded
    Column("preview", Text, nullable=False),  # sealed under that key; '' once the person has withdrawn
    Column("city_term", LargeBinary, nullable=False),
    Column("need_term", LargeBinary, nullable=False),
    Column("budget_term", LargeBinary, nullable=False),
    Column("shown", BigInteger, nullable=False),  # so many of these three, in this order, are shown to the recipient
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # why it was declined, lost, unqualified or set aside; '' for none
    Column("finance", Text, nullable=False),
    Column("value_minor", BigInteger),
    Column("value_currency", Text),
    Column("clawed_minor", BigInteger),
    Column("policy", Text, nullable=False),  # the referral policy that it was registered under; '' before
    Column("sequence", BigInteger),  # of the recipient's registered referrals
    Column("share", BigInteger, nullable=False),  # basis points of what it counts for
    Column("conflict_id", Text, nullable=False),  # shared by those that contest one person; '' for none
    Column("drafted_at", BigInteger, nullable=False),
    Column("submitted_at", BigInteger),
    Column("ready_at", BigInteger),
    Column("offered_at", BigInteger),
    Column("due_at", BigInteger),  # until when somebody has to act, or it is returned to the referrer
    Column("protected_until", BigInteger),
    Column("attributed_until", BigInteger),
    Column("changed_at", BigInteger, nullable=False),
    Index(None, "owner_id", "id"),
    Index(None, "recipient_id", "id"),
    Index(None, "recipient_id", "sequence", unique=True),
    Index(None, "dataset_no", "pseudonym"),
    Index(None, "state", "due_at"),
    Index(None, "conflict_id"),
)
Index("ix_referral_preview", *(referral.c[name] for name in ("dataset_no", "city_term", "need_term", "budget_term")))

referral_term = Table(  # what a referral is matched by; gone as soon as it stands for nothing
    "referral_term",
    metadata,
    Column("referral_id", Text, ForeignKey("referral.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("key_version", BigInteger, primary_key=True, autoincrement=False),
    Column("term", LargeBinary, primary_key=True),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Index(None, "recipient_id", "kind", "term"),
)

referral_note = Table(  # what a recipient writes down for itself, sealed under its own key
    "referral_note",
    metadata,
    Column("id", Text, primary_key=True),
    Column("referral_id", Text, ForeignKey("referral.id"), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "referral_id", "at"),
)

referral_telling = Table(  # what a customer is still to be told, and was told
    "referral_telling",
    metadata,
    Column("referral_id", Text, ForeignKey("referral.id"), primary_key=True),
    Column("what", Text, primary_key=True),  # disclosed, closed
    Column("queued_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger, index=True),  # null once the customer was told, or nobody could be reached
    Column("told_at", BigInteger),
)

referral_policy = Table(
    "referral_policy",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("proposed_by", Text, ForeignKey("member.id"), nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("number", BigInteger),  # of the agreement's policies that were agreed on; the highest is in force
    Column("in_force_at", BigInteger),
)

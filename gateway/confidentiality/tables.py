"""What stands beside the terms: persons, NDAs, rosters, grants, memos, assessments. Times in milliseconds.

What was signed can be neither rewritten nor removed; it can end. The triggers are a second lock: the proof is the
signature, verified whenever a row counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("sealed", Text, nullable=False),  # the name, under the member's own key
    Column("created_at", BigInteger, nullable=False),
    Column("left_at", BigInteger),
)
Index(None, person.c.member_id, person.c.id)

nda = Table(
    "nda",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("towards", Text, nullable=False),  # a member, an alliance, or the person
    Column("text_sha256", Text, nullable=False, unique=True),
    Column("jws", Text, nullable=False),
    Column("fingerprint", Text, ForeignKey("member_signing_key.fingerprint"), nullable=False),
    Column("covers_from", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint("kind IN ('organisation', 'person')", name="kind"),
)
Index(None, nda.c.member_id, nda.c.towards)

participation = Table(
    "participation",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("dataset_id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), primary_key=True),
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("opted_in_at", BigInteger, nullable=False),
    Column("opted_out_at", BigInteger),
)
"""One row for each time that a member took part: `no` counts from 1, and only the newest may be without an end."""

roster_entry = Table(
    "roster_entry",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreement.id"), primary_key=True),
    Column("dataset_id", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("person.id"), primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("listed_at", BigInteger, nullable=False),
    Column("until_at", BigInteger),
    Column("struck_at", BigInteger),
    Column("struck_by", Text),
)
Index(None, roster_entry.c.person_id)

onward_grant = Table(
    "onward_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("recipient_id", Text, ForeignKey("member.id"), nullable=False),
    Column("text_sha256", Text, nullable=False, unique=True),
    Column("jws", Text, nullable=False),
    Column("fingerprint", Text, ForeignKey("member_signing_key.fingerprint"), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
Index(None, onward_grant.c.agreement_id, onward_grant.c.recipient_id)

release_event = Table(
    "release_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("dataset_id", Text, nullable=False),
    Column("filed_by", Text, ForeignKey("member.id"), nullable=False),
    Column("statement", Text, nullable=False),  # the canonical text that the owner signs
    Column("filed_at", BigInteger, nullable=False),
    Column("jws", Text),
    Column("fingerprint", Text, ForeignKey("member_signing_key.fingerprint")),
    Column("confirmed_at", BigInteger),
    Column("declined_at", BigInteger),
)
Index(None, release_event.c.agreement_id, release_event.c.dataset_id)

assessment = Table(
    "assessment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("dataset_id", Text, nullable=False),
    Column("report_sha256", Text, nullable=False),
    Column("sections", Text, nullable=False),  # canonical JSON
    Column("retention_years", BigInteger, nullable=False),
    Column("covers_from", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint("retention_years >= 3", name="retention_years"),
)
Index(None, assessment.c.agreement_id, assessment.c.dataset_id)

transfer_mechanism = Table(
    "transfer_mechanism",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("dataset_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger),
    Column("ended_at", BigInteger),
    CheckConstraint("kind IN ('assessment', 'certification', 'standard_contract', 'exempt')", name="kind"),
)
Index(None, transfer_mechanism.c.agreement_id, transfer_mechanism.c.dataset_id)

oral_memo = Table(
    "oral_memo",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agreement_id", Text, ForeignKey("agreement.id"), nullable=False),
    Column("owner_id", Text, ForeignKey("member.id"), nullable=False),  # who disclosed
    Column("listener_id", Text, ForeignKey("member.id"), nullable=False),
    Column("recorder_id", Text, ForeignKey("member.id"), nullable=False),
    Column("sealed", Text, nullable=False),  # what was said, by whom and to whom, under the owner's key
    Column("said_at", BigInteger, nullable=False),
    Column("answer_by", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("answer", Text),
    Column("answered_at", BigInteger),
    CheckConstraint("answer IN ('confirmed', 'contested')", name="answer"),
)
Index(None, oral_memo.c.agreement_id, oral_memo.c.id)

_ARCHIVED = "archived: what was signed is never rewritten or removed"


def _archived(table: Table, fixed: Sequence[str], ends: str) -> None:
    """Rows stay, their `fixed` columns never change, and what has ended stays ended as it did."""
    guarded(
        table,
        [
            Guard(
                f"{table.name}_keeps_its_text",
                "UPDATE",
                _ARCHIVED,
                lambda distinct: (
                    f"{changed(fixed, distinct)} OR (old.{ends} IS NOT NULL AND new.{ends} {distinct} old.{ends})"
                ),
            ),
            Guard(f"{table.name}_stays", "DELETE", _ARCHIVED),
        ],
    )


_SIGNED = ("id", "text_sha256", "jws", "fingerprint")
_archived(nda, (*_SIGNED, "kind", "member_id", "towards", "covers_from", "until_at", "filed_at"), "ended_at")
_archived(onward_grant, (*_SIGNED, "agreement_id", "recipient_id", "granted_at"), "revoked_at")
_archived(release_event, ("id", "agreement_id", "dataset_id", "statement", "filed_at"), "confirmed_at")

"""Notices, and the life of every consent: its record, its events, its receipts.

Consents that stand already get a record without events: what happened before is in their owner's log. Permits left no
mark on them, so each counts as disclosed since it was recorded: one follow-up too many, rather than one too few.
Revision 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NOTICE = "archived: a published notice keeps its text"
_STAYS = "archived: a published notice stays"
_EVENTS = "archived: the events of a consent are kept"
_KEPT = ("owner_id", "dataset_no", "name", "version", "sha256", "document", "material", "used_from", "published_at")
_USED_UP = sa.text("uses_left = 0 AND ended_at IS NULL")
_KNOWN = """
INSERT INTO consent_record (
    id, alliance_id, owner_id, dataset_no, pseudonym, recipient_id, purpose, kind, fields, optional, channels, state,
    sequence, notice_id, notice_sha256, language, request_id, term_s, given_at, expires_at, stale_at, due_at, max_uses,
    supersedes, origin, age_band, guardian, collection, changed_at, recorded_at
)
SELECT
    consent.id, dataset.alliance_id, dataset.owner_id, consent.dataset_no, consent.pseudonym, consent.recipient_id,
    consent.purpose, 'disclosure', consent.fields, 0, '', COALESCE(consent.end_kind, 'given'),
    0, NULL, consent.notice_sha256, '', NULL, consent.expires_at - consent.given_at, consent.given_at,
    consent.expires_at, NULL, CASE WHEN consent.ended_at IS NULL THEN consent.expires_at END, NULL,
    NULL, 'owner', 'unknown', NULL, '{"evidence_sha256": "' || consent.evidence_sha256 || '"}', consent.recorded_at, consent.recorded_at
FROM consent JOIN dataset ON dataset.no = consent.dataset_no
"""


def _guard(name: str, act: str, message: str, when: str = "") -> None:
    if op.get_context().dialect.name == "sqlite":
        condition = f"WHEN {when.format(differs='IS NOT')} " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {condition}BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    condition = f"WHEN ({when.format(differs='IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.add_column("consent", sa.Column("disclosed_at", sa.BigInteger(), nullable=True))
    op.add_column("consent", sa.Column("uses_left", sa.BigInteger(), nullable=True))
    op.create_index("ix_consent_used_up", "consent", ["id"], sqlite_where=_USED_UP, postgresql_where=_USED_UP)
    op.create_table(
        "notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("material", sa.BigInteger(), nullable=True),
        sa.Column("used_from", sa.BigInteger(), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'published', 'retired')", name=op.f("ck_notice_state")),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_notice_dataset_no")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_notice_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("dataset_no", "name", "version", name=op.f("uq_notice_dataset_no_name_version")),
    )
    op.create_index(op.f("ix_notice_dataset_no_sha256"), "notice", ["dataset_no", "sha256"])
    op.create_table(
        "consent_record",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fields", sa.BigInteger(), nullable=False),
        sa.Column("optional", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=True),
        sa.Column("notice_sha256", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("term_s", sa.BigInteger(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("stale_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("max_uses", sa.BigInteger(), nullable=True),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("age_band", sa.Text(), nullable=False),
        sa.Column("guardian", sa.Text(), nullable=True),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('disclosure', 'contact')", name=op.f("ck_consent_record_kind")),
        sa.CheckConstraint("origin IN ('page', 'owner', 'offline')", name=op.f("ck_consent_record_origin")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_consent_record_alliance_id")),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_consent_record_dataset_no")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_consent_record_notice_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_consent_record_owner_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_consent_record_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_record")),
    )
    op.create_index(op.f("ix_consent_record_due_at"), "consent_record", ["due_at"])
    op.create_index(op.f("ix_consent_record_notice_id"), "consent_record", ["notice_id"])
    op.create_index(op.f("ix_consent_record_owner_id_pseudonym"), "consent_record", ["owner_id", "pseudonym"])
    op.create_index(op.f("ix_consent_record_request_id"), "consent_record", ["request_id"])
    op.create_table(
        "consent_event",
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["consent_record.id"], name=op.f("fk_consent_event_record_id")),
        sa.PrimaryKeyConstraint("record_id", "sequence", name=op.f("pk_consent_event")),
    )
    op.create_table(
        "consent_receipt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("event_sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["consent_record.id"], name=op.f("fk_consent_receipt_record_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_receipt")),
        sa.UniqueConstraint(
            "record_id", "event_sequence", "kind", name=op.f("uq_consent_receipt_record_id_event_sequence_kind")
        ),
    )
    rewrites = " OR ".join(f"new.{column} {{differs}} old.{column}" for column in _KEPT)
    _guard("notice_keeps_its_text", "UPDATE ON notice", _NOTICE, f"old.state <> 'draft' AND ({rewrites})")
    _guard("notice_stays", "DELETE ON notice", _STAYS, "old.state <> 'draft'")
    _guard("consent_event_is_kept", "UPDATE ON consent_event", _EVENTS)
    _guard("consent_event_stays", "DELETE ON consent_event", _EVENTS)
    op.execute("UPDATE consent SET disclosed_at = recorded_at")
    op.execute(_KNOWN)

"""The schema of 0.1.0.

Revision 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ARCHIVED = "archived: agreements and signatures are never rewritten or removed"
_REWRITES = (
    "new.id {0} old.id OR new.alliance_id {0} old.alliance_id OR new.owner_id {0} old.owner_id"
    " OR new.recipient_id {0} old.recipient_id OR new.terms {0} old.terms"
    " OR new.terms_sha256 {0} old.terms_sha256 OR new.created_at {0} old.created_at"
    " OR (old.signed_at IS NOT NULL AND new.signed_at {0} old.signed_at)"
    " OR old.state = 'terminated' OR (old.state = 'signed' AND new.state = 'draft') OR new.version <= old.version"
)
_GUARDS = (
    ("agreement_keeps_its_text", "UPDATE ON agreement", _REWRITES),
    ("agreement_stays", "DELETE ON agreement", ""),
    ("agreement_signature_keeps_its_text", "UPDATE ON agreement_signature", ""),
    ("agreement_signature_stays", "DELETE ON agreement_signature", ""),
)


def _guard(name: str, act: str, rewrites: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        when = f"WHEN {rewrites.format('IS NOT')} " if rewrites else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {when}BEGIN SELECT RAISE(ABORT, '{_ARCHIVED}'); END")
        return
    when = f"WHEN ({rewrites.format('IS DISTINCT FROM')}) " if rewrites else ""
    body = f"BEGIN RAISE EXCEPTION '{_ARCHIVED}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {when}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.create_table(
        "alliance",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alliance")),
    )
    op.create_table(
        "chain",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_chain")),
    )
    op.create_table(
        "decided_case",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_decided_case")),
    )
    op.create_table(
        "idempotent_answer",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key", name=op.f("pk_idempotent_answer")),
    )
    op.create_index(op.f("ix_idempotent_answer_created_at"), "idempotent_answer", ["created_at"], unique=False)
    op.create_table(
        "leaf",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("log_id", "idx", name=op.f("pk_leaf")),
        sa.UniqueConstraint("event_id", name=op.f("uq_leaf_event_id")),
    )
    op.create_table(
        "log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log")),
        sa.UniqueConstraint("origin", name=op.f("uq_log_origin")),
    )
    op.create_table(
        "member_key",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("check_value", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "use", "version", name=op.f("pk_member_key")),
    )
    op.create_table(
        "node",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("level", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "level", "idx", name=op.f("pk_node")),
    )
    op.create_table(
        "quota",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "window_start", name=op.f("pk_quota")),
    )
    op.create_table(
        "record_term",
        sa.Column("dataset_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("field_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.LargeBinary(), nullable=False),
        sa.Column("upload_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_no", "field_number", "term", "record_id", name=op.f("pk_record_term")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_record_term_upload_no"), "record_term", ["upload_no"], unique=False)
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("provider_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_index(op.f("ix_signing_key_use"), "signing_key", ["use"], unique=False)
    op.create_table(
        "spent_assertion",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("jti_sha256", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_sha256", name=op.f("pk_spent_assertion")),
    )
    op.create_index("ix_spent_assertion_expires_at", "spent_assertion", ["expires_at"], unique=False)
    op.create_table(
        "subject_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key_version", sa.BigInteger(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject_key")),
        sa.UniqueConstraint("member_id", "scope", name=op.f("uq_subject_key_member_id_scope")),
    )
    op.create_table(
        "active_policy",
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_active_policy_alliance_id")),
        sa.PrimaryKeyConstraint("alliance_id", name=op.f("pk_active_policy")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_checkpoint_log_id")),
        sa.PrimaryKeyConstraint("log_id", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "head",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("narrowing", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["log_id"], ["log.id"], name=op.f("fk_head_log_id")),
        sa.PrimaryKeyConstraint("log_id", name=op.f("pk_head")),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'lifted')", name=op.f("ck_hold_state")),
        sa.CheckConstraint("subject_kind IN ('dataset', 'agreement')", name=op.f("ck_hold_subject_kind")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_hold_alliance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_subject_kind_subject_id"), "hold", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "member",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uscc", sa.Text(), nullable=False),
        sa.Column("industry", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('admitted', 'suspended')", name=op.f("ck_member_state")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_member_alliance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("alliance_id", "uscc", name=op.f("uq_member_alliance_id_uscc")),
    )
    op.create_index(op.f("ix_member_alliance_id_id"), "member", ["alliance_id", "id"], unique=False)
    op.create_table(
        "agreement",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("terms_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'signed', 'terminated')", name=op.f("ck_agreement_state")),
        sa.CheckConstraint("owner_id <> recipient_id", name=op.f("ck_agreement_parties")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_agreement_alliance_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_agreement_owner_id")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_agreement_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
    )
    op.create_index(op.f("ix_agreement_owner_id_id"), "agreement", ["owner_id", "id"], unique=False)
    op.create_index(op.f("ix_agreement_recipient_id_id"), "agreement", ["recipient_id", "id"], unique=False)
    op.create_table(
        "client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'revoked')", name=op.f("ck_client_state")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_client_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
    )
    op.create_index(op.f("ix_client_member_id"), "client", ["member_id"], unique=False)
    op.create_table(
        "dataset",
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("subject_field", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_dataset_alliance_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_dataset_owner_id")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_dataset")),
        sa.UniqueConstraint("id", name=op.f("uq_dataset_id")),
    )
    op.create_index(op.f("ix_dataset_owner_id_name"), "dataset", ["owner_id", "name"], unique=True)
    op.create_table(
        "member_signing_key",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'revoked')", name=op.f("ck_member_signing_key_state")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_signing_key_member_id")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_member_signing_key")),
    )
    op.create_index(op.f("ix_member_signing_key_member_id"), "member_signing_key", ["member_id"], unique=False)
    op.create_table(
        "agreement_signature",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_signature_agreement_id")),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["member_signing_key.fingerprint"], name=op.f("fk_agreement_signature_fingerprint")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_agreement_signature_member_id")),
        sa.PrimaryKeyConstraint("agreement_id", "member_id", name=op.f("pk_agreement_signature")),
    )
    op.create_table(
        "client_key",
        sa.Column("thumbprint", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("alg", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'retired')", name=op.f("ck_client_key_state")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_client_key_client_id")),
        sa.PrimaryKeyConstraint("thumbprint", name=op.f("pk_client_key")),
    )
    op.create_index(op.f("ix_client_key_client_id"), "client_key", ["client_id"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("fields", sa.BigInteger(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_kind", sa.Text(), nullable=True),
        sa.Column("evidence_sha256", sa.Text(), nullable=False),
        sa.Column("notice_sha256", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_consent_dataset_no")),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_consent_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_item", "consent", ["dataset_no", "recipient_id", "purpose", "pseudonym"], unique=False)
    op.create_index("ix_consent_subject", "consent", ["dataset_no", "pseudonym"], unique=False)
    op.create_index(
        "uq_consent_standing",
        "consent",
        ["dataset_no", "recipient_id", "purpose", "pseudonym"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "key_confirmation",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["member_signing_key.fingerprint"], name=op.f("fk_key_confirmation_fingerprint")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_key_confirmation_member_id")),
        sa.PrimaryKeyConstraint("member_id", "fingerprint", name=op.f("pk_key_confirmation")),
    )
    op.create_table(
        "upload",
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_upload_dataset_no")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_upload")),
        sa.UniqueConstraint("id", name=op.f("uq_upload_id")),
    )
    op.create_index(op.f("ix_upload_dataset_no_state"), "upload", ["dataset_no", "state"], unique=False)
    op.create_index(op.f("ix_upload_state_touched_at"), "upload", ["state", "touched_at"], unique=False)
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dataset_no", sa.BigInteger(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_withdrawal_dataset_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
    )
    op.create_index(op.f("ix_withdrawal_dataset_no_pseudonym"), "withdrawal", ["dataset_no", "pseudonym"], unique=False)
    op.create_table(
        "record",
        sa.Column("dataset_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("upload_no", sa.BigInteger(), nullable=False),
        sa.Column("subject_key_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_no"], ["dataset.no"], name=op.f("fk_record_dataset_no")),
        sa.ForeignKeyConstraint(["upload_no"], ["upload.no"], name=op.f("fk_record_upload_no")),
        sa.PrimaryKeyConstraint("dataset_no", "id", name=op.f("pk_record")),
    )
    op.create_index(op.f("ix_record_upload_no"), "record", ["upload_no"], unique=False)
    for name, act, rewrites in _GUARDS:
        _guard(name, act, rewrites)

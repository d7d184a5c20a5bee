"""What stands beside the terms: persons, NDAs, rosters, participation, grants, releases, assessments, transfers, memos.

Revision 0009. Nobody is opted in by it: each party of an older agreement does so itself before more leaves.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ARCHIVED = "archived: what was signed is never rewritten or removed"
_SIGNED = ("id", "text_sha256", "jws", "fingerprint")
_KEPT = (
    ("nda", (*_SIGNED, "kind", "member_id", "towards", "covers_from", "until_at", "filed_at"), "ended_at"),
    ("onward_grant", (*_SIGNED, "agreement_id", "recipient_id", "granted_at"), "revoked_at"),
    ("release_event", ("id", "agreement_id", "dataset_id", "statement", "filed_at"), "confirmed_at"),
)


def _guard(name: str, act: str, when: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when.format('IS NOT')} " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {condition}BEGIN SELECT RAISE(ABORT, '{_ARCHIVED}'); END")
        return
    condition = f"WHEN ({when.format('IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{_ARCHIVED}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_person_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_index(op.f("ix_person_member_id_id"), "person", ["member_id", "id"], unique=False)
    op.create_table(
        "assessment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("report_sha256", sa.Text(), nullable=False),
        sa.Column("sections", sa.Text(), nullable=False),
        sa.Column("retention_years", sa.BigInteger(), nullable=False),
        sa.Column("covers_from", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("retention_years >= 3", name=op.f("ck_assessment_retention_years")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_assessment_agreement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessment")),
    )
    op.create_index(
        op.f("ix_assessment_agreement_id_dataset_id"), "assessment", ["agreement_id", "dataset_id"], unique=False
    )
    op.create_table(
        "nda",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("towards", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("covers_from", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('organisation', 'person')", name=op.f("ck_nda_kind")),
        sa.ForeignKeyConstraint(["fingerprint"], ["member_signing_key.fingerprint"], name=op.f("fk_nda_fingerprint")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_nda_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nda")),
        sa.UniqueConstraint("text_sha256", name=op.f("uq_nda_text_sha256")),
    )
    op.create_index(op.f("ix_nda_member_id_towards"), "nda", ["member_id", "towards"], unique=False)
    op.create_table(
        "onward_grant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_onward_grant_agreement_id")),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["member_signing_key.fingerprint"], name=op.f("fk_onward_grant_fingerprint")
        ),
        sa.ForeignKeyConstraint(["recipient_id"], ["member.id"], name=op.f("fk_onward_grant_recipient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_onward_grant")),
        sa.UniqueConstraint("text_sha256", name=op.f("uq_onward_grant_text_sha256")),
    )
    op.create_index(
        op.f("ix_onward_grant_agreement_id_recipient_id"),
        "onward_grant",
        ["agreement_id", "recipient_id"],
        unique=False,
    )
    op.create_table(
        "oral_memo",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("listener_id", sa.Text(), nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("answer_by", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("answer IN ('confirmed', 'contested')", name=op.f("ck_oral_memo_answer")),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_oral_memo_agreement_id")),
        sa.ForeignKeyConstraint(["listener_id"], ["member.id"], name=op.f("fk_oral_memo_listener_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_oral_memo_owner_id")),
        sa.ForeignKeyConstraint(["recorder_id"], ["member.id"], name=op.f("fk_oral_memo_recorder_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oral_memo")),
    )
    op.create_index(op.f("ix_oral_memo_agreement_id_id"), "oral_memo", ["agreement_id", "id"], unique=False)
    op.create_table(
        "participation",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("opted_in_at", sa.BigInteger(), nullable=False),
        sa.Column("opted_out_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_participation_agreement_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_participation_member_id")),
        sa.PrimaryKeyConstraint("agreement_id", "dataset_id", "member_id", "no", name=op.f("pk_participation")),
    )
    op.create_table(
        "release_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("filed_by", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("declined_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_release_event_agreement_id")),
        sa.ForeignKeyConstraint(["filed_by"], ["member.id"], name=op.f("fk_release_event_filed_by")),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["member_signing_key.fingerprint"], name=op.f("fk_release_event_fingerprint")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_event")),
    )
    op.create_index(
        op.f("ix_release_event_agreement_id_dataset_id"), "release_event", ["agreement_id", "dataset_id"], unique=False
    )
    op.create_table(
        "roster_entry",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("listed_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("struck_at", sa.BigInteger(), nullable=True),
        sa.Column("struck_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_roster_entry_agreement_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_roster_entry_member_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_roster_entry_person_id")),
        sa.PrimaryKeyConstraint("agreement_id", "dataset_id", "person_id", name=op.f("pk_roster_entry")),
    )
    op.create_index(op.f("ix_roster_entry_person_id"), "roster_entry", ["person_id"], unique=False)
    op.create_table(
        "transfer_mechanism",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('assessment', 'certification', 'standard_contract', 'exempt')",
            name=op.f("ck_transfer_mechanism_kind"),
        ),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_transfer_mechanism_agreement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_mechanism")),
    )
    op.create_index(
        op.f("ix_transfer_mechanism_agreement_id_dataset_id"),
        "transfer_mechanism",
        ["agreement_id", "dataset_id"],
        unique=False,
    )

    for table, fixed, ends in _KEPT:
        rewrites = " OR ".join(f"new.{column} {{0}} old.{column}" for column in fixed)
        rewrites += f" OR (old.{ends} IS NOT NULL AND new.{ends} {{0}} old.{ends})"
        _guard(f"{table}_keeps_its_text", f"UPDATE ON {table}", rewrites)
        _guard(f"{table}_stays", f"DELETE ON {table}", "")

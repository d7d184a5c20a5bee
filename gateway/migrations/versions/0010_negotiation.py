"""Every text that was proposed for an agreement, agreements that replace others, and signed PDFs.

Revision 0010. What was drafted before keeps its one text, whose author is not on record. A draft's text may change; it
is the signatures that bind one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ARCHIVED = "archived: agreements and signatures are never rewritten or removed"
_GUARD = "agreement_keeps_its_text"
_LIFE = (
    "new.version {0} old.version OR new.state {0} old.state OR new.signed_at {0} old.signed_at"
    " OR new.ended_at {0} old.ended_at OR new.superseded_by {0} old.superseded_by"
)
_TEXT = "new.terms {0} old.terms OR new.terms_sha256 {0} old.terms_sha256"
_REWRITES = (
    "new.id {0} old.id OR new.alliance_id {0} old.alliance_id OR new.owner_id {0} old.owner_id"
    " OR new.recipient_id {0} old.recipient_id OR new.created_at {0} old.created_at"
    f" OR ((old.state <> 'draft' OR new.version <= old.version) AND ({_TEXT}))"
    " OR (old.signed_at IS NOT NULL AND new.signed_at {0} old.signed_at)"
    f" OR (old.state = 'terminated' AND ({_LIFE})) OR (old.state = 'signed' AND new.state = 'draft')"
    f" OR (new.version <= old.version AND ({_LIFE})) OR new.revision < old.revision"
    " OR (new.version = old.version AND new.revision = old.revision)"
)


def _guard(name: str, act: str, table: str, when: str = "") -> None:
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when.format('IS NOT')} " if when else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {act} ON {table} {condition}BEGIN SELECT RAISE(ABORT, '{_ARCHIVED}'); END"
        )
        return
    condition = f"WHEN ({when.format('IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{_ARCHIVED}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.create_table(
        "agreement_text",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("terms_sha256", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Text(), nullable=True),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_text_agreement_id")),
        sa.ForeignKeyConstraint(["author_id"], ["member.id"], name=op.f("fk_agreement_text_author_id")),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_agreement_text")),
    )
    op.execute(
        "INSERT INTO agreement_text (agreement_id, number, terms, terms_sha256, author_id, proposed_at)"
        " SELECT id, 1, terms, terms_sha256, NULL, created_at FROM agreement"
    )
    op.create_table(
        "agreement_pdf",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("pdf_sha256", sa.Text(), nullable=False),
        sa.Column("terms_sha256", sa.Text(), nullable=False),
        sa.Column("trusted_by", sa.Text(), nullable=False),
        sa.Column("certificate_sha256", sa.Text(), nullable=False),
        sa.Column("attached_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_pdf_agreement_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_agreement_pdf_member_id")),
        sa.PrimaryKeyConstraint("agreement_id", "member_id", name=op.f("pk_agreement_pdf")),
    )
    op.add_column("agreement", sa.Column("superseded_by", sa.Text(), nullable=True))
    op.execute(f"DROP TRIGGER {_GUARD}" + ("" if op.get_bind().dialect.name == "sqlite" else " ON agreement"))
    _guard(_GUARD, "UPDATE", "agreement", _REWRITES)
    for table in ("agreement_text", "agreement_pdf"):
        _guard(f"{table}_keeps_its_text", "UPDATE", table)
        _guard(f"{table}_stays", "DELETE", table)

"""What decisions are made of beside the terms: qualification, clearance, country, revisions, ends of holds.

Revision 0007. Members that were admitted before keep what they had: papers without an end, every grade that there
was. They are Chinese companies, for they have a USCC. A row that is added later has nothing that it was not given.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ARCHIVED = "archived: agreements and signatures are never rewritten or removed"
_LIFE = (
    "new.version {0} old.version OR new.state {0} old.state OR new.signed_at {0} old.signed_at"
    " OR new.ended_at {0} old.ended_at"
)
_REWRITES = (
    "new.id {0} old.id OR new.alliance_id {0} old.alliance_id OR new.owner_id {0} old.owner_id"
    " OR new.recipient_id {0} old.recipient_id OR new.terms {0} old.terms"
    " OR new.terms_sha256 {0} old.terms_sha256 OR new.created_at {0} old.created_at"
    " OR (old.signed_at IS NOT NULL AND new.signed_at {0} old.signed_at)"
    f" OR (old.state = 'terminated' AND ({_LIFE})) OR (old.state = 'signed' AND new.state = 'draft')"
    f" OR (new.version <= old.version AND ({_LIFE})) OR new.revision < old.revision"
    " OR (new.version = old.version AND new.revision = old.revision)"
)
_GUARD = "agreement_keeps_its_text"


def _replace_guard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {_GUARD}")
        op.execute(
            f"CREATE TRIGGER {_GUARD} BEFORE UPDATE ON agreement WHEN {_REWRITES.format('IS NOT')} "
            f"BEGIN SELECT RAISE(ABORT, '{_ARCHIVED}'); END"
        )
        return
    op.execute(f"DROP TRIGGER {_GUARD} ON agreement")
    op.execute(
        f"CREATE TRIGGER {_GUARD} BEFORE UPDATE ON agreement FOR EACH ROW "
        f"WHEN ({_REWRITES.format('IS DISTINCT FROM')}) EXECUTE FUNCTION {_GUARD}()"
    )


def upgrade() -> None:
    op.add_column("member", sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("member", sa.Column("qualified_until", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "ALTER TABLE member ADD COLUMN clearance BIGINT DEFAULT '0' NOT NULL"
        " CONSTRAINT ck_member_clearance CHECK (clearance BETWEEN 0 AND 4)"
    )
    op.add_column("member", sa.Column("country", sa.Text(), server_default="ZZ", nullable=False))
    op.execute("UPDATE member SET qualified_until = 253402300799000, clearance = 4, country = 'CN'")
    op.add_column("agreement", sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("hold", sa.Column("until", sa.BigInteger(), server_default="253402300799000", nullable=False))
    op.create_table(
        "agreement_third_party",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_third_party_agreement_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_agreement_third_party_member_id")),
        sa.PrimaryKeyConstraint("agreement_id", "member_id", name=op.f("pk_agreement_third_party")),
    )
    _replace_guard()

"""Proposals that two people decide; environments; client keys with a life of their own, or published by address.

Revision 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEPT = "archived: a proposal keeps its words, and is decided once"
_ENVIRONMENT = "archived: an alliance keeps its environment"
_CHANGED = (
    "old.state <> 'pending' OR new.id {0} old.id OR new.alliance_id {0} old.alliance_id OR new.act {0} old.act"
    " OR new.arguments {0} old.arguments OR new.arguments_sha256 {0} old.arguments_sha256"
    " OR new.proposed_by {0} old.proposed_by OR new.proposed_at {0} old.proposed_at"
    " OR new.expires_at {0} old.expires_at"
)
_GUARDS = (
    ("proposal_begins_pending", "INSERT ON proposal", _KEPT, "new.state <> 'pending'"),
    ("proposal_is_kept", "UPDATE ON proposal", _KEPT, _CHANGED),
    ("proposal_stays", "DELETE ON proposal", _KEPT, ""),
    ("alliance_keeps_its_environment", "UPDATE ON alliance", _ENVIRONMENT, "new.environment {0} old.environment"),
)


def _guard(name: str, act: str, message: str, when: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when.format('IS NOT')} " if when else ""
        op.execute(f"CREATE TRIGGER {name} BEFORE {act} {condition}BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    condition = f"WHEN ({when.format('IS DISTINCT FROM')}) " if when else ""
    body = f"BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation'; END"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} FOR EACH ROW {condition}EXECUTE FUNCTION {name}()")


def upgrade() -> None:
    op.create_table(
        "proposal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("arguments_sha256", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("made", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'approved', 'declined', 'withdrawn')", name=op.f("ck_proposal_state")),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_by IS NULL) AND (state = 'pending') = (decided_at IS NULL)"
            " AND (state = 'approved') = (made IS NOT NULL)",
            name=op.f("ck_proposal_decided"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR (state = 'withdrawn') = (decided_by = proposed_by)",
            name=op.f("ck_proposal_four_eyes"),
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR substr(decided_by, 1, 7) <> 'client:'", name=op.f("ck_proposal_people")
        ),
        sa.CheckConstraint("state <> 'approved' OR decided_at < expires_at", name=op.f("ck_proposal_in_time")),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_proposal_alliance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
    )
    op.create_index(
        op.f("ix_proposal_alliance_id_state_expires_at"),
        "proposal",
        ["alliance_id", "state", "expires_at"],
        unique=False,
    )
    op.execute(
        "ALTER TABLE alliance ADD COLUMN environment TEXT DEFAULT 'production' NOT NULL"
        " CONSTRAINT ck_alliance_environment CHECK (environment IN ('production', 'test'))"
    )
    for column in (
        sa.Column("jwks_uri", sa.Text(), nullable=True),
        sa.Column("keys_fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("keys_sought_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("client", column)
    op.add_column("client_key", sa.Column("not_before", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("client_key", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    for name, act, message, when in _GUARDS:
        _guard(name, act, message, when)

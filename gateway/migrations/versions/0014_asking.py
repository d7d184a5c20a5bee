"""Asking persons: how they are reached, requests, links, visits, and how often a number was written to.

Revision 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("subject_key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('own', 'guardian')", name=op.f("ck_contact_role")),
        sa.CheckConstraint("channel IN ('sms', 'email')", name=op.f("ck_contact_channel")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_contact_owner_id_member")),
        sa.PrimaryKeyConstraint("owner_id", "pseudonym", "role", "channel", name=op.f("pk_contact")),
    )
    op.create_table(
        "contact_term",
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("key_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "owner_id", "pseudonym", "role", "channel", "key_version", name=op.f("pk_contact_term")
        ),
    )
    op.create_index(op.f("ix_contact_term_term"), "contact_term", ["term"])
    op.create_table(
        "consent_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alliance_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('own', 'guardian')", name=op.f("ck_consent_request_role")),
        sa.CheckConstraint(
            "state IN ('open', 'deferred', 'answered', 'lapsed')", name=op.f("ck_consent_request_state")
        ),
        sa.ForeignKeyConstraint(["alliance_id"], ["alliance.id"], name=op.f("fk_consent_request_alliance_id_alliance")),
        sa.ForeignKeyConstraint(["owner_id"], ["member.id"], name=op.f("fk_consent_request_owner_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_request")),
    )
    op.create_index(op.f("ix_consent_request_next_at"), "consent_request", ["next_at"])
    op.create_index(op.f("ix_consent_request_owner_id_id"), "consent_request", ["owner_id", "id"])
    op.create_table(
        "asking_link",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("persons", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('request', 'guardian', 'self_service')", name=op.f("ck_asking_link_kind")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["consent_request.id"], name=op.f("fk_asking_link_request_id_consent_request")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_asking_link")),
    )
    op.create_index(op.f("ix_asking_link_request_id"), "asking_link", ["request_id"])
    op.create_index(op.f("ix_asking_link_expires_at"), "asking_link", ["expires_at"])
    op.create_table(
        "visit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("cookie_sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("persons", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("code_mac", sa.LargeBinary(), nullable=True),
        sa.Column("code_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_until", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["consent_request.id"], name=op.f("fk_visit_request_id_consent_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
        sa.UniqueConstraint("cookie_sha256", name=op.f("uq_visit_cookie_sha256")),
    )
    op.create_index(op.f("ix_visit_ends_at"), "visit", ["ends_at"])
    op.create_table(
        "written_to",
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("term", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("use", "term", name=op.f("pk_written_to")),
    )
    op.create_index(op.f("ix_written_to_last_at"), "written_to", ["last_at"])

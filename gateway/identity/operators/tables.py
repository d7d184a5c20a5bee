"""Operators, what they sign in with, and where they are signed in now. Secrets are kept as SHA-256 alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from gateway.database import metadata

operator = Table(
    "operator",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint(
        "role IN ('admin', 'officer', 'secretariat', 'market', 'legal', 'finance', 'business', 'management')",
        name="role",
    ),
    CheckConstraint("state IN ('active', 'disabled')", name="state"),
)
"""A person who works for one alliance. The id is the passkeys' user handle too: random, so it names nobody."""

operator_credential = Table(
    "operator_credential",
    metadata,
    Column("id", Text, primary_key=True),
    Column("operator_id", Text, ForeignKey("operator.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", BigInteger, nullable=False),
    Column("backed_up", BigInteger, nullable=False),
    Column("aaguid", Text, nullable=False),
    Column("vouched_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    CheckConstraint("state IN ('active', 'revoked')", name="state"),
)
"""A passkey: its credential id (base64url), COSE public key, signature counter and backup flags (WebAuthn 6.1).

`vouched_by` is the operator who issued the code that it goes back to, '' for the host.
"""

operator_subject = Table(
    "operator_subject",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("operator_id", Text, ForeignKey("operator.id"), nullable=False, index=True),
    Column("linked_at", BigInteger, nullable=False),
)
"""An account at the company's provider, and the operator it was linked to beforehand."""

enrolment_code = Table(
    "enrolment_code",
    metadata,
    Column("id", Text, primary_key=True),
    Column("operator_id", Text, ForeignKey("operator.id"), nullable=False, index=True),
    Column("secret_sha256", Text, nullable=False),
    Column("issued_by", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)
"""A one-time code; `id` is its first part, which only finds the row."""

ceremony = Table(
    "ceremony",
    metadata,
    Column("ticket_sha256", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("challenge", LargeBinary, nullable=False),
    Column("operator_id", Text, nullable=False),
    Column("session_sha256", Text, nullable=False),
    Column("act_sha256", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_ceremony_expires_at", "expires_at"),
)
"""A challenge that one browser, named by its ticket, may answer once. Absent parts are empty."""

operator_session = Table(
    "operator_session",
    metadata,
    Column("id_sha256", Text, primary_key=True),
    Column("operator_id", Text, ForeignKey("operator.id"), nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("provider_session", Text, nullable=False),
    Column("amr", Text, nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    CheckConstraint("method IN ('passkey', 'oidc')", name="method"),
)
"""A browser that is signed in. `credential` is the passkey's id, or the subject at the provider."""

step_up = Table(
    "step_up",
    metadata,
    Column("session_sha256", Text, primary_key=True),
    Column("act_sha256", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)
"""A fresh authentication at the provider for one act of one session, to be used once."""

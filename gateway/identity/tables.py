"""Clients of members, their public keys, the assertions they have spent, and the tokens they have revoked."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Exists,
    ForeignKey,
    Index,
    Table,
    Text,
    bindparam,
    column,
    exists,
    table,
)

from gateway.database import metadata

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("method", Text, nullable=False, server_default="private_key_jwt"),
    Column("binding", Text, nullable=False, server_default="dpop"),
    Column("certificate_name", Text),
    Column("certificates", Text, nullable=False, server_default="[]"),
    Column("assertion_typ", Text, nullable=False, server_default="any"),
    Column("jwks_uri", Text),
    Column("keys_fetched_at", BigInteger),
    Column("keys_sought_at", BigInteger),
    CheckConstraint("state IN ('active', 'revoked')", name="state"),
    Index("ix_client_certificate_name", "certificate_name", unique=True),
)
"""A member's OAuth client. `version` moves with everything that ends its tokens.

`method` to `assertion_typ` are what `methods.Method` says; `certificates` is a JSON array of thumbprints. With a
`jwks_uri` its keys are those published there: as of `keys_fetched_at`, last looked for at `keys_sought_at`.
"""

client_key = Table(
    "client_key",
    metadata,
    Column("thumbprint", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False, index=True),
    Column("kid", Text, nullable=False),
    Column("alg", Text, nullable=False),
    Column("jwk", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False, server_default="0"),
    Column("expires_at", BigInteger),
    CheckConstraint("state IN ('active', 'retired')", name="state"),
)
"""A public key. Its RFC 7638 thumbprint is unique for ever: one key is one client's, and a retired key stays so.

It verifies from `not_before` until just before `expires_at`, in milliseconds, while it is active.

Two keys of one client may share a `kid`, as partners' key sets do.
"""

spent_assertion = Table(
    "spent_assertion",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("jti_sha256", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_spent_assertion_expires_at", "expires_at"),
)
"""Client assertions that were used, until they have expired."""

revoked_token = Table(
    "revoked_token",
    metadata,
    Column("token", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""What refuses an access token until it would have expired (epoch seconds): its name, as in entries, where it was
revoked itself; the `kid` of the gateway's key that signed it, where that is compromised. Both are SHA-256 digests."""

resource_server = Table(
    "resource_server",
    metadata,
    Column("client_id", Text, ForeignKey("client.id"), primary_key=True),
    Column("resource", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Clients that serve a resource, and so may ask whether tokens for it are active (RFC 7662)."""

roll = table("member", column("id"), column("state"))
"""Of the members package's table what identity reads in its own statements."""


def is_revoked() -> Exists:
    """Whether the token named `:token`, or every token by the key `:signed_by`, is revoked, as part of a statement."""
    named = (bindparam("token", type_=Text), bindparam("signed_by", type_=Text))
    return exists().where(revoked_token.c.token.in_(named))

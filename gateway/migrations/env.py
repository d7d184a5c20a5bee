"""What Alembic runs: the connection is the caller's, and so is its transaction."""

from __future__ import annotations

from alembic import context

from gateway.migrations.schema import complete_metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=complete_metadata())
context.run_migrations()

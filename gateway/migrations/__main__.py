"""Draft a migration from the tables: `python -m gateway.migrations "what changes"` (for developers)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command

from gateway.database.creation import change_schema, sqlite_url
from gateway.migrations import NEWEST, configuration, upgrade


async def draft(message: str) -> None:
    """Write the difference between the migrations and the tables as a new revision."""
    number = int(NEWEST) + 1
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder) / "empty.db")
        await upgrade(url)
        await change_schema(
            url,
            lambda connection: command.revision(
                configuration(connection), message, autogenerate=True, rev_id=f"{number:04}"
            ),
        )


if __name__ == "__main__":
    asyncio.run(draft(sys.argv[1]))

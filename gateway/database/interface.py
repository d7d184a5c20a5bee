"""What the rest of the gateway may ask of a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from gateway.database.statements import Query
from gateway.errors import Conflicting, Unavailable


class Row(Protocol):
    """One row: columns by name or position."""

    def __getitem__(self, key: Any, /) -> Any: ...


class Reading(Protocol):
    """Reads. Within one `Database.reading` block all of them see one snapshot."""

    async def all(self, query: Query, /, **given: Any) -> Sequence[Row]:
        """Every row."""

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        """The first row, or None."""


class Transaction(Reading, Protocol):
    """Reads and writes that commit together, or not at all.

    On PostgreSQL (READ COMMITTED) each statement sees what was committed before it began, so a lock taken
    by one statement is honoured by the next: lock, check, insert as separate statements.
    """

    async def run(self, query: Query, /, **given: Any) -> int:
        """Execute and return the number of rows changed."""

    async def many(self, query: Query, rows: Sequence[dict[str, Any]], /) -> None:
        """Execute once per row, as one batch."""


class Database(Reading, Protocol):
    """A database whose commits are durable before `transaction` exits.

    A bare `all` or `one` is a snapshot of its own. Errors: `DatabaseUnavailable` (lost, locked, full: nothing
    was committed unless `CommitUnknown`), `AlreadyExists` (a unique constraint).
    """

    @property
    def version(self) -> str:
        """Engine and version, as `PostgreSQL 15.18`."""

    def reading(self) -> AbstractAsyncContextManager[Reading]:
        """Several reads of one snapshot."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commit on leaving the block, roll back on an exception."""

    async def close(self) -> None:
        """Give the connections back."""


class DatabaseUnavailable(Unavailable):
    """The database cannot answer now; nothing was committed."""

    def __init__(self, detail: str = "The database cannot answer now.") -> None:
        super().__init__("database_unavailable", detail)


class TableMissing(DatabaseUnavailable):
    """The database has no such table: it was never migrated."""


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost around COMMIT: look the change up before answering."""


class AlreadyExists(Conflicting):
    """A unique constraint refused the row."""

    def __init__(self, detail: str = "It already exists.") -> None:
        super().__init__("already_exists", detail)

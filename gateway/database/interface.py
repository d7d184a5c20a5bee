"""What the rest of the gateway may ask of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from gateway.database.statements import Query
from gateway.errors import Conflicting, Invalid, Unavailable

_MOST = 2**63
_INDEXED = 512
"""Bytes: a row of an index has 2,704, for a handful of texts together."""


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
    was committed unless `CommitUnknown`), `AlreadyExists` (a unique constraint), `NotStorable` (what no column holds).
    """

    @property
    def version(self) -> str:
        """Engine and version, as `PostgreSQL 15.18`."""

    @property
    def probes_lists(self) -> bool:
        """Whether a list of keys costs a probe each, whatever the database believes about its tables.

        Where its statistics are older than a dataset, PostgreSQL may look through all of the dataset for a list.
        """

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


class NotStorable(Invalid):
    """A value that the database holds in no column, whatever let it come so far; nothing was changed."""

    def __init__(self, field: str | None = None) -> None:
        super().__init__(
            "not_storable",
            "A text or a number cannot be stored as it is.",
            field=field,
            remedy="Send short texts without U+0000 and lone surrogates, and numbers of at most 64 bits.",
        )


def unstorable(given: Mapping[str, Any]) -> str | None:
    """The name of the first value that PostgreSQL has no room for: U+0000, a lone surrogate, more than 64 bits."""
    return next((name for name, value in given.items() if _is_unstorable(value)), None)


def longest_text(given: Sequence[Mapping[str, Any]]) -> str | None:
    """The name of the longest text, where one is too long for a place in an index of PostgreSQL with others."""
    texts = [(len(value.encode()), name) for row in given for name, value in row.items() if isinstance(value, str)]
    longest, name = max(texts, default=(0, ""))
    return name if longest > _INDEXED else None


def _is_unstorable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value or any("\ud800" <= one <= "\udfff" for one in value)
    return isinstance(value, int) and not -_MOST <= value < _MOST

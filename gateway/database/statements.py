"""SQL written once in SQLAlchemy Core, compiled once per dialect, run by the driver.

Core through a driver costs 79-566 microseconds a call, the driver alone 9-22, so
only the text and the order of its parameters are taken from SQLAlchemy. Its result processors do not
run: columns are `Text`, `BigInteger` or `LargeBinary`, which need none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Insert, Integer, MetaData, String, bindparam
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ROWS_AT_ONCE = 50


class _ConstantsInText(SQLCompiler):
    """Writes a statement's own words and numbers into its text: bound, each costs 0.1 us at every call."""

    def visit_bindparam(self, bindparam: BindParameter[Any], *given: Any, **options: Any) -> Any:
        if isinstance(bindparam.value, str | int) and isinstance(bindparam.type, String | Integer):
            options["literal_binds"] = True
        return super().visit_bindparam(bindparam, *given, **options)  # type: ignore[no-untyped-call]


class _PostgreSQL(_ConstantsInText, PGCompiler_asyncpg):
    """asyncpg's, with constants in the text."""


class _SQLite(_ConstantsInText, SQLiteCompiler):
    """sqlite3's, with constants in the text."""


_POSTGRESQL = asyncpg.dialect()  # type: ignore[no-untyped-call]
_POSTGRESQL.statement_compiler = _PostgreSQL
_SQLITE = pysqlite.dialect()
_SQLITE.statement_compiler = _SQLite


class Text:
    """One dialect's SQL text, and how to lay out named parameters for its driver."""

    __slots__ = ("_given", "_laid_out", "arguments", "names", "sql")

    arguments: Callable[[Mapping[str, Any]], Sequence[Any]]
    """Positional arguments: the statement's literals, and what is given; a name that nobody gave is a KeyError."""

    def __init__(self, statement: ClauseElement, dialect: Any) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        assert compiled.positiontup is not None
        self.sql = str(compiled)
        self.names = tuple(compiled.positiontup)
        literals = compiled.params  # put together anew each time it is asked for
        self._laid_out = [literals[name] for name in self.names]
        self._given = [(at, name) for at, name in enumerate(self.names) if literals[name] is None]
        takes_all = len(self._given) == len(self._laid_out) > 1
        self.arguments = itemgetter(*self.names) if takes_all else self._among_literals

    def _among_literals(self, given: Mapping[str, Any]) -> list[Any]:
        arguments = self._laid_out.copy()
        for at, name in self._given:
            arguments[at] = given[name]
        return arguments


class Query:
    """A Core construct with named binds. `insert(table)` binds every column of the table by its name."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    @cached_property
    def postgresql(self) -> Text:
        """The text for asyncpg: `$1::TYPE`, `FOR UPDATE` kept."""
        return Text(self._statement, _POSTGRESQL)

    @cached_property
    def sqlite(self) -> Text:
        """The text for sqlite3: `?`, `FOR UPDATE` left out because a writer is alone there."""
        return Text(self._statement, _SQLITE)

    @cached_property
    def sqlite_rows(self) -> str | None:
        """The text that inserts `ROWS_AT_ONCE` rows at once, their arguments one row after the other.

        sqlite3 gives the interpreter's lock away at each step: with one row a step, an upload is up to 6 % slower.
        None for what is no plain insertion of every column.
        """
        insertion = self._statement
        if not isinstance(insertion, Insert) or self.sqlite.names != tuple(insertion.table.c.keys()):
            return None
        of_one = insertion.table.c.items()
        rows = [{name: bindparam(f"{name}_{n}", type_=of.type) for name, of in of_one} for n in range(ROWS_AT_ONCE)]
        return Text(insertion.values(rows), _SQLITE).sql

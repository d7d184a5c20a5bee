"""Triggers that refuse to rewrite or remove rows, on either engine: the second lock behind the code's own rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import DDL, Table, event

When = Callable[[str], str]
"""A trigger's condition over `old` and `new`, given the dialect's word for "differs, null included"."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One trigger of a table: which act it refuses (`INSERT`, `UPDATE`, `DELETE`), and when; always without `when`."""

    name: str
    act: str
    message: str
    when: When | None = None

    def statements(self, table: str, dialect: str) -> list[str]:
        """What creates the trigger, for `sqlite` or `postgresql`."""
        if dialect == "sqlite":
            condition = f"WHEN {self.when('IS NOT')} " if self.when else ""
            body = f"BEGIN SELECT RAISE(ABORT, '{self.message}'); END"
            return [f"CREATE TRIGGER {self.name} BEFORE {self.act} ON {table} {condition}{body}"]
        condition = f"WHEN ({self.when('IS DISTINCT FROM')}) " if self.when else ""
        body = f"BEGIN RAISE EXCEPTION '{self.message}' USING ERRCODE = 'restrict_violation'; END"
        trigger = f"CREATE TRIGGER {self.name} BEFORE {self.act} ON {table} FOR EACH ROW {condition}"
        return [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
            f"{trigger}EXECUTE FUNCTION {self.name}()",
        ]


def guarded(table: Table, guards: Sequence[Guard]) -> None:
    """Create these triggers whenever the table is created; a migration writes them out by hand."""
    for dialect in ("sqlite", "postgresql"):
        for guard in guards:
            for statement in guard.statements(table.name, dialect):
                ddl = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
                event.listen(table, "after_create", ddl)


def changed(columns: Sequence[str], distinct: str) -> str:
    """The condition that one of these columns changes."""
    return " OR ".join(f"new.{column} {distinct} old.{column}" for column in columns)

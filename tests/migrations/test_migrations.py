from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Integer, TextClause, inspect, text

from gateway.database import Database
from gateway.database.creation import change_schema, sqlite_url
from gateway.database.postgresql import PostgreSQLDatabase
from gateway.database.sqlite import SQLiteDatabase
from gateway.identity import Method
from gateway.identity.clients import find_client
from gateway.members.client_record import client_record
from gateway.migrations import NEWEST, configuration, current, upgrade
from gateway.migrations.schema import complete_metadata
from tests.services.postgresql import PostgreSQL

_SQLITE_SCHEMA = text("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'table'")
_POSTGRESQL_TRIGGERS = text(
    "SELECT tgname, pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) FROM pg_trigger WHERE NOT tgisinternal"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "empty.db")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = re.sub(r"\W", "_", tmp_path.name.lower())
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


async def _read(url: str, query: TextClause) -> dict[str, str]:
    found: dict[str, str] = {}

    def read(connection: Connection) -> None:
        found.update({name: " ".join(definition.split()) for name, definition in connection.execute(query)})

    await change_schema(url, read)
    return found


async def _checks(url: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def read(connection: Connection) -> None:
        inspector = inspect(connection)
        for table in inspector.get_table_names():
            for check in inspector.get_check_constraints(table):
                found[f"{table} {check['name']}"] = check["sqltext"]

    await change_schema(url, read)
    return found


async def _beyond_tables(url: str) -> dict[str, str]:
    """What SQLAlchemy's comparison does not see: checks, triggers and their functions; on SQLite the indexes' text."""
    query = _SQLITE_SCHEMA if url.startswith("sqlite:") else _POSTGRESQL_TRIGGERS
    return await _read(url, query) | await _checks(url)


async def test_the_migrations_make_what_the_tables_say(empty_url: str) -> None:
    metadata = complete_metadata()
    await upgrade(empty_url)
    differences: list[object] = []
    tables: list[str] = []

    def compare(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences.extend(compare_metadata(context, metadata))
        tables.extend(inspect(connection).get_table_names())

    await change_schema(empty_url, compare)
    assert differences == []
    assert len(tables) > 20
    assert set(tables) - {"alembic_version"} == set(metadata.tables)


async def test_triggers_and_checks_are_the_same_either_way(database_url: str) -> None:
    created = await _beyond_tables(database_url)
    await change_schema(database_url, _remove_everything)
    await upgrade(database_url)
    migrated = await _beyond_tables(database_url)
    assert any("trigger" in definition.lower() for definition in created.values())
    assert any("state in" in definition.lower() or "any" in definition.lower() for definition in created.values())
    assert migrated == created


def _remove_everything(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        complete_metadata().drop_all(connection)
    else:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database: Database
    if url.startswith("sqlite:"):
        database = SQLiteDatabase(Path(url.removeprefix("sqlite:///")))
    else:
        database = await PostgreSQLDatabase.connect(url)
    try:
        yield database
    finally:
        await database.close()


async def _revision(url: str) -> str | None:
    async with _opened(url) as database:
        return await current(database)


async def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    assert await _revision(empty_url) is None
    await upgrade(empty_url)
    assert await _revision(empty_url) == NEWEST
    before = await _beyond_tables(empty_url)
    await upgrade(empty_url)
    assert await _beyond_tables(empty_url) == before


async def test_a_client_of_the_first_schema_goes_on_as_it_was(empty_url: str) -> None:
    """It signs assertions with its key, its tokens are bound to its DPoP key, and its alliance is for production."""
    await change_schema(empty_url, lambda connection: command.upgrade(configuration(connection), "0001"))

    def write(connection: Connection) -> None:
        for statement in _FIRST_CLIENT:
            connection.execute(text(statement))

    await change_schema(empty_url, write)
    await upgrade(empty_url)
    async with _opened(empty_url) as database:
        known = await find_client(database, "c", 0)
        record = await client_record(database, "c")
    assert known is not None
    assert (known.method, known.jwks_uri, record.environment) == (Method(), None, "production")
    assert [kid for kid, _ in known.keys] == ["k"]


async def test_a_member_of_an_older_schema_keeps_what_it_had_and_a_row_added_later_has_nothing(empty_url: str) -> None:
    await change_schema(empty_url, lambda connection: command.upgrade(configuration(connection), "0006"))

    def write(connection: Connection) -> None:
        for statement in _FIRST_CLIENT[:2]:
            connection.execute(text(statement))

    await change_schema(empty_url, write)
    await change_schema(empty_url, lambda connection: command.upgrade(configuration(connection), "0007"))
    facts: dict[str, tuple[int, int, str]] = {}

    def add_and_read(connection: Connection) -> None:
        connection.execute(text(_LATER_MEMBER))
        for row in connection.execute(text("SELECT id, clearance, qualified_until, country FROM member")):
            facts[row.id] = row.clearance, row.qualified_until, row.country

    await change_schema(empty_url, add_and_read)
    assert facts == {"m": (4, 253_402_300_799_000, "CN"), "n": (0, 0, "ZZ")}


async def test_a_consent_of_an_older_schema_has_a_record_and_may_have_been_disclosed(empty_url: str) -> None:
    """No permit marked its consents then, so whoever could read is told of a withdrawal."""
    await change_schema(empty_url, lambda connection: command.upgrade(configuration(connection), "0001"))

    def begin(connection: Connection) -> None:
        for statement in _FIRST_CLIENT[:2]:
            connection.execute(text(statement))

    def write(connection: Connection) -> None:
        _insert(connection, "dataset", no=1, id="d", alliance_id="a", owner_id="m", kind="personal")
        common = {"dataset_no": 1, "recipient_id": "m", "given_at": 1, "expires_at": 9, "recorded_at": 1000}
        _insert(connection, "consent", id="stands", pseudonym="p", **common)
        _insert(connection, "consent", id="ended", pseudonym="q", ended_at=5, end_kind="withdrawn", **common)

    facts: dict[str, tuple[str, int | None, int]] = {}

    def read(connection: Connection) -> None:
        both = "SELECT r.id, r.state, r.due_at, c.disclosed_at FROM consent_record r JOIN consent c ON c.id = r.id"
        for row in connection.execute(text(both)):
            facts[row.id] = row.state, row.due_at, row.disclosed_at

    await change_schema(empty_url, begin)
    await change_schema(empty_url, lambda connection: command.upgrade(configuration(connection), "0012"))
    await change_schema(empty_url, write)
    await upgrade(empty_url)
    await change_schema(empty_url, read)
    assert facts == {"stands": ("given", 9, 1000), "ended": ("withdrawn", None, 1000)}


def _insert(connection: Connection, name: str, **known: object) -> None:
    """A row of a table as it is now; columns that must be there and are not named get a nought or an x."""
    values = {
        column["name"]: 0 if isinstance(column["type"], Integer) else "x"
        for column in inspect(connection).get_columns(name)
        if not column["nullable"]
    } | known
    listed = ", ".join(values)
    connection.execute(
        text(f"INSERT INTO {name} ({listed}) VALUES ({', '.join(f':{column}' for column in values)})"),
        values,
    )


_LATER_MEMBER = (
    "INSERT INTO member (id, alliance_id, name, uscc, industry, state, version, created_at)"
    " VALUES ('n', 'a', 'N', 'V', 'bank', 'admitted', 1, 0)"
)
_FIRST_CLIENT = (
    "INSERT INTO alliance (id, name, created_at) VALUES ('a', 'A', 0)",
    "INSERT INTO member VALUES ('m', 'a', 'M', 'U', 'bank', 'admitted', 1, 0)",
    "INSERT INTO client (id, member_id, name, state, version, created_at) VALUES ('c', 'm', 'C', 'active', 1, 0)",
    (
        "INSERT INTO client_key (thumbprint, client_id, kid, alg, jwk, state, created_at)"
        " VALUES ('t', 'c', 'k', 'Ed25519',"
        """ '{"crv"\\:"Ed25519","kty"\\:"OKP","x"\\:"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',"""
        " 'active', 0)"
    ),
)


async def test_two_processes_may_upgrade_at_once(empty_url: str) -> None:
    await asyncio.gather(upgrade(empty_url), upgrade(empty_url))
    assert await _revision(empty_url) == NEWEST


async def test_a_change_that_fails_halfway_leaves_nothing(empty_url: str) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await change_schema(empty_url, fail)
    tables: list[str] = []
    await change_schema(empty_url, lambda connection: tables.extend(inspect(connection).get_table_names()))
    assert tables == []


async def test_a_schema_is_created_once(empty_url: str) -> None:
    await change_schema(empty_url, complete_metadata().create_all)
    tables: list[str] = []
    await change_schema(empty_url, lambda connection: tables.extend(inspect(connection).get_table_names()))
    assert set(tables) == set(complete_metadata().tables)


def test_the_history_is_one_line() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    revisions = [revision.revision for revision in scripts.walk_revisions()]
    assert revisions[-1] == "0001"
    assert scripts.get_heads() == [NEWEST]

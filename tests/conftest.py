"""Real components for every test, each started once and named in the output.

A component that this machine lacks skips its tests by name; with `CI=true` such a skip is a failure.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.database import Database
from gateway.database.creation import change_schema, sqlite_url
from gateway.database.postgresql import PostgreSQLDatabase
from gateway.database.sqlite import SQLiteDatabase
from gateway.migrations.schema import complete_metadata
from tests.beside import ABSENT
from tests.services import ComponentMissing, chromium, nginx, node, opa
from tests.services import postgresql as postgresql_service
from tests.services import valkey as valkey_service
from tests.services.opa import OPA
from tests.services.or_skip import or_skip
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
_TEMPLATE = "gateway_template"
_GARBAGE_THRESHOLDS = (50_000, 20, 20)
_numbers = itertools.count(1)


def pytest_collection_finish() -> None:
    """What is there before the first test stays for good: looking for garbage in it was an eighth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running private PostgreSQL."""
    with or_skip(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """The path of a real `opa`, built if need be."""
    return or_skip(opa.binary)


@pytest.fixture(scope="session")
def opa_server(opa_binary: Path) -> Iterator[OPA]:
    """A running OPA server that holds the bundle of `policies/`; its address is `.url`."""
    with OPA(opa_binary) as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A running private Valkey or Redis; its address is `.url`."""
    with or_skip(Valkey) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the whole schema and no rows."""
    path = tmp_path_factory.mktemp("template") / "gateway.db"
    asyncio.run(change_schema(sqlite_url(path), complete_metadata().create_all))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSQL) -> str:
    """The name of a PostgreSQL database with the whole schema and no rows."""
    postgresql.execute(f"CREATE DATABASE {_TEMPLATE}")
    asyncio.run(change_schema(postgresql.url(_TEMPLATE), complete_metadata().create_all))
    return _TEMPLATE


@pytest.fixture
def sqlite_path(tmp_path: Path, sqlite_template: Path) -> Path:
    """A fresh SQLite file with the whole schema."""
    return Path(shutil.copy(sqlite_template, tmp_path / "gateway.db"))


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL, postgresql_template: str) -> Iterator[str]:
    """The address of a fresh PostgreSQL database with the whole schema."""
    name = f"test_{next(_numbers)}"
    postgresql.execute(f"CREATE DATABASE {name} TEMPLATE {postgresql_template}")
    yield postgresql.url(name)
    postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh database with the whole schema, once on each engine."""
    if request.param == "sqlite":
        return sqlite_url(request.getfixturevalue("sqlite_path"))
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def sqlite_database(sqlite_path: Path) -> AsyncIterator[Database]:
    """A fresh SQLite database with the whole schema."""
    async with _opened(sqlite_url(sqlite_path)) as database:
        yield database


@pytest.fixture
async def postgresql_database(postgresql_url: str) -> AsyncIterator[Database]:
    """A fresh PostgreSQL database with the whole schema."""
    async with _opened(postgresql_url) as database:
        yield database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with the whole schema, once on each engine."""
    async with _opened(database_url) as database:
        yield database


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


def _opa_version() -> str:
    here = opa.found()
    return f"OPA {opa.version(here)}" if here else "OPA not here yet"


def _version(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except ComponentMissing as missing:
        return str(missing).split(":", 1)[0].removesuffix(".")


def _components() -> str:
    asked = (
        _opa_version,
        postgresql_service.version,
        valkey_service.version,
        nginx.version,
        chromium.version,
        node.version,
    )
    return ", ".join([f"SQLite {sqlite3.sqlite_version}", *map(_version, asked)])


def pytest_configure() -> None:
    """Asked to end, end as by Ctrl-C: fixtures are torn down, so that no server outlives the tests."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_report_header() -> str:
    """Name the real components before the tests."""
    return f"components: {_components()}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name them again after the tests, with how many ran."""
    ran = {kind: len(terminalreporter.stats.get(kind, ())) for kind in ("passed", "failed", "error", "skipped")}
    counted = ", ".join(f"{count} {kind}" for kind, count in ran.items() if count)
    terminalreporter.write_line(f"{sum(ran.values())} tests ({counted}) on {_components()}")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a skip is a failure, unless what is absent is data that is not part of the project."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(ABSENT):
        report.outcome = "failed"
        report.longrepr = f"With CI=true nothing may be skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """See `_refuse_skip`."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """See `_refuse_skip`."""
    report = yield
    _refuse_skip(report)
    return report

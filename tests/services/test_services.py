from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import asyncpg
import pytest
from valkey import Valkey as Client
from valkey.exceptions import ConnectionError as Refused

from gateway.database import Database
from gateway.policy.bundle import load_bundle
from tests.services import ComponentMissing, ServiceFailed, opa, postgresql
from tests.services.opa import OPA
from tests.services.or_skip import or_skip
from tests.services.postgresql import PostgreSQL
from tests.services.process import listens
from tests.services.valkey import Valkey


async def _ask(server: PostgreSQL, question: str) -> object:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_postgresql_waits_for_the_disk(postgresql: PostgreSQL) -> None:
    assert await _ask(postgresql, "SHOW fsync") == "on"
    assert await _ask(postgresql, "SHOW listen_addresses") == "127.0.0.1"


async def test_postgresql_wants_its_password(postgresql: PostgreSQL) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=postgresql.port, user="gateway", password="x", database="postgres")


async def test_a_killed_postgresql_comes_back_with_what_was_committed() -> None:
    server = or_skip(PostgreSQL)
    with server:
        server.execute("CREATE DATABASE kept")
        server.kill()
        assert not listens(server.port)
        server.start()
        assert await _ask(server, "SELECT count(*) FROM pg_database WHERE datname = 'kept'") == 1
    assert not server.directory.exists()
    assert not listens(server.port)


def test_missing_postgresql_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgresql, "_HOMES", ("/nonexistent",))
    with pytest.raises(ComponentMissing, match="PostgreSQL is not installed"):
        postgresql.version()


def test_opa_serves_the_bundle_under_the_digest_of_its_rules(opa_server: OPA) -> None:
    with urllib.request.urlopen(f"{opa_server.url}/v1/data/system/none?provenance=true") as answer:
        said = answer.read().decode()
    assert load_bundle(opa.POLICIES).digest == opa_server.digest
    assert opa_server.digest in said


def test_opa_refuses_broken_rules_by_file(opa_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "broken.rego").write_text("package gateway.broken\n\nallow if {\n\tunknown\n}\n")
    with pytest.raises(ServiceFailed, match=r"broken\.rego"), OPA(opa_binary, policies=tmp_path):
        pass


def test_a_named_opa_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEWAY_OPA", str(tmp_path / "none"))
    opa.found.cache_clear()
    try:
        with pytest.raises(ComponentMissing, match="GATEWAY_OPA"):
            opa.binary()
    finally:
        opa.found.cache_clear()


def test_valkey_never_evicts_and_wants_its_password(valkey: Valkey) -> None:
    with Client.from_url(valkey.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with Client(host="127.0.0.1", port=valkey.port) as stranger, pytest.raises(Exception, match="Authentication"):
        stranger.ping()


def test_a_stopped_valkey_starts_again_on_its_port() -> None:
    server = or_skip(Valkey)
    with server, Client.from_url(server.url) as client:
        server.stop()
        with pytest.raises(Refused):
            client.ping()
        server.start()
        assert client.ping()


def test_stopping_ends_its_own_process_alone() -> None:
    first, second = or_skip(Valkey), or_skip(Valkey)
    with second:
        with first:
            ended = first.pid
            assert ended is not None
        assert listens(second.port)
        with pytest.raises(ProcessLookupError):
            os.kill(ended, 0)


async def test_every_test_gets_a_database_of_its_own(database: Database, database_url: str) -> None:
    assert database.version.lower().startswith(database_url.split(":", maxsplit=1)[0])


_SKIPPING = """
import pytest
from tests.beside import DATA, there

def test_needs_a_component():
    pytest.skip("OPA is absent, and nothing shared is")

def test_needs_data():
    there(DATA / "no such table")
"""


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("false", 0)])
def test_in_ci_a_missing_component_fails_and_missing_data_does_not(tmp_path: Path, ci: str, status: int) -> None:
    (tmp_path / "test_skipping.py").write_text(_SKIPPING)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", tmp_path,
         "-c", os.devnull, str(tmp_path)],
        cwd=opa.ROOT, env=os.environ | {"CI": ci}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert ("1 failed" in ran.stdout) == (ci == "true")
    assert "1 skipped" in ran.stdout or "2 skipped" in ran.stdout

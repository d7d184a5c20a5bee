"""What an operator meets: sentences, exit codes, commands that may be repeated."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.database.sqlite import connect
from gateway.ledger.note import VerifierKey
from gateway.settings import Settings
from tests.cli.conftest import Gateway, permit_of
from tests.services import free_port


def _one_sentence(answer: Result, code: str) -> None:
    assert answer.exit_code == 1, answer.output
    assert isinstance(answer.exception, SystemExit)
    first, *more = answer.stderr.strip().splitlines()
    assert first.startswith("✘ ")
    assert first.endswith(code)
    assert len(more) <= 1, "at most the remedy follows"
    assert "Traceback" not in answer.output


def test_init_twice_is_safe(gateway: Gateway, settings: Settings) -> None:
    first = gateway("init")
    assert first.exit_code == 0, first.output
    keyring = settings.keyring_path.read_bytes()
    assert settings.keyring_path.stat().st_mode & 0o077 == 0
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    again = gateway("init")
    assert again.exit_code == 0, again.output
    assert settings.keyring_path.read_bytes() == keyring
    assert alliance in gateway("admin", "logs").stdout


def test_an_operators_mistake_is_told_in_a_sentence(gateway: Gateway) -> None:
    _one_sentence(gateway("admin", "alliance", "Test"), "no_keyring")
    gateway("init")
    _one_sentence(gateway("admin", "activate-policy", "f" * 32), "unknown_log")
    _one_sentence(gateway("serve", GATEWAY_HOST="0.0.0.0"), "insecure_listener")
    _one_sentence(gateway("serve", GATEWAY_OPEN_LOG="true"), "unknown_setting")


def test_a_passphrase_that_is_wrong_is_told_and_not_quoted(gateway: Gateway, settings: Settings) -> None:
    gateway("init")
    assert settings.passphrase_file is not None
    settings.passphrase_file.write_text("entirely another passphrase")
    answer = gateway("admin", "logs")
    assert answer.exit_code == 1
    assert "Traceback" not in answer.output
    assert "another" not in answer.output


@pytest.mark.parametrize("command", ["migrate", "init"])
def test_a_database_that_is_down_is_told_in_a_sentence(gateway: Gateway, command: str) -> None:
    database = f"postgresql://gateway:secret-word@127.0.0.1:{free_port()}/gateway"
    answer = gateway(command, GATEWAY_DATABASE_URL=database, GATEWAY_VALKEY_URL="valkey://127.0.0.1:1")
    _one_sentence(answer, "database_unavailable")
    assert "secret-word" not in answer.output


def test_a_database_address_that_is_none_is_told_and_not_quoted(gateway: Gateway) -> None:
    database = "postgresql://gateway:secret-word@127.0.0.1:port/gateway"
    answer = gateway("migrate", GATEWAY_DATABASE_URL=database, GATEWAY_VALKEY_URL="valkey://127.0.0.1:1")
    _one_sentence(answer, "(GATEWAY_DATABASE_URL) invalid_database_url")
    assert "secret-word" not in answer.output


def test_a_folder_that_is_not_there_is_told_in_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    _one_sentence(gateway("migrate", GATEWAY_DATA_DIR=str(tmp_path / "absent")), "database_unavailable")


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _one_sentence(gateway("init", GATEWAY_DATA_DIR=str(tmp_path / "file" / "data")), str(tmp_path / "file" / "data"))


def test_verify_tells_ok_tampered_and_incomplete_by_its_exit_code(gateway: Gateway, tmp_path: Path) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    log = json.loads(gateway("admin", "logs").stdout)
    assert log["log"] == alliance
    vkey = log["vkey"]
    bundle = tmp_path / "bundle.zip"
    exported = gateway("export", alliance, "--out", str(bundle), "--permit", permit_of(gateway, alliance))
    assert exported.exit_code == 0, exported.output

    holds = gateway("verify", str(bundle), "--vkey", vkey)
    assert (holds.exit_code, "ok" in holds.stdout) == (0, True), holds.output

    tampered = gateway("verify", str(_forged(bundle)), "--vkey", vkey)
    assert (tampered.exit_code, "tampered" in tampered.stdout) == (1, True), tampered.output

    other = str(VerifierKey(VerifierKey.parse(vkey).name, bytes(32)))
    untrusted = gateway("verify", str(bundle), "--vkey", other)
    assert (untrusted.exit_code, "incomplete" in untrusted.stdout) == (2, True), untrusted.output

    for nothing in (("--seen", str(tmp_path)), ("--seen", str(tmp_path / "absent"))):
        unread = gateway("verify", str(bundle), "--vkey", vkey, *nothing)
        assert (unread.exit_code, "Traceback" in unread.output) == (2, False), unread.output
        assert isinstance(unread.exception, SystemExit), "what cannot be read is not told as tampered"


def test_a_damaged_database_is_told_as_such_and_not_as_another_versions(gateway: Gateway, settings: Settings) -> None:
    gateway("init")
    with closing(connect(settings.sqlite_path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with settings.sqlite_path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"Z" * size)
    damaged = gateway("admin", "logs")
    _one_sentence(damaged, "database_unavailable")
    assert "damaged" in damaged.stderr
    _one_sentence(gateway("migrate"), "database_unavailable")
    settings.sqlite_path.write_bytes(b"")
    _one_sentence(gateway("admin", "logs"), "schema_differs")
    settings.sqlite_path.write_bytes(b"Z" * size)
    _one_sentence(gateway("admin", "logs"), "database_unavailable")


def test_who_adopts_a_head_is_on_record(gateway: Gateway, settings: Settings, tmp_path: Path) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    gateway("export", alliance, "--out", str(tmp_path / "b.zip"))  # refused, and on record: so the log is signed
    _one_sentence(gateway("admin", "adopt", alliance), "ledger_rolled_back")
    copy = settings.heads_path / f"{alliance}.checkpoint"
    size = int(copy.read_text().splitlines()[1])
    copy.unlink()
    adopted = gateway("admin", "adopt", alliance, SUDO_USER="alice")
    assert adopted.exit_code == 0, adopted.output
    assert copy.exists()
    with closing(sqlite3.connect(settings.sqlite_path)) as connection:
        (body,) = connection.execute("SELECT body FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
    entry = json.loads(body)
    assert (entry["act"], entry["actor"], entry["size"]) == ("head_adopted", {"operator": "alice"}, size)


def _forged(bundle: Path) -> Path:
    """The bundle with one name in its entries changed, as a zip that is sound in itself."""
    forged = bundle.with_name("forged.zip")
    changed = 0
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(forged, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            changed += data.count(b'"act"')
            target.writestr(member, data.replace(b'"act"', b'"ACT"'))
    assert changed, "the entry is there to be forged"
    return forged

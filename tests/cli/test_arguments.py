"""Whatever is typed, and whatever an outsider's file or log is called, ends in a sentence and the right exit code."""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.clock import system_clock
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.ledger.export import export
from gateway.ledger.integrator import Integrator
from gateway.ledger.note import NamedSigner, Signer, VerifierKey
from gateway.migrations import NEWEST
from gateway.settings import Settings
from tests.cli.conftest import Gateway, permit_of
from tests.ledger.builders import OWNER, denial

NOT_UTF8 = os.fsdecode(b"\xff")
MARKUP = "alliance.example[/x]"


async def _bundle(database: Database, folder: Path, origin: str) -> tuple[Path, str]:
    """A bundle of one entry of the log `origin/owner`, and the log's vkey."""
    private = Ed25519PrivateKey.generate()
    key = VerifierKey(f"{origin}/{OWNER}", private.public_key().public_bytes_raw())

    async def signer(_: str) -> Signer:
        return NamedSigner(key.name, key.public_key, private.sign)

    ledger = Ledger(database, system_clock, origin=origin, node="node")
    async with ledger.changing() as change:
        await change.open_log(OWNER)
    await ledger.record(denial())
    await Integrator(database, system_clock, signer, folder / "heads").integrate(OWNER)
    async with database.reading() as snapshot:
        await export(snapshot, OWNER, 0, 0, folder / "bundle.zip")
    return folder / "bundle.zip", str(key)


def test_the_version_is_told_with_its_schema(gateway: Gateway) -> None:
    answer = gateway("--version")
    told = f"alliance-gateway {version('alliance-gateway')}, schema {NEWEST}, Python {platform.python_version()}"
    assert (answer.exit_code, answer.output.strip()) == (0, told)


@pytest.mark.parametrize("index", ["9" * 5000, "9" * 19, "-1", "１", ""])
def test_an_index_that_no_entry_can_have_names_none(gateway: Gateway, index: str) -> None:
    gateway("init")
    answer = gateway("explain", f"log:{index}")
    assert (answer.exit_code, "LOG:INDEX" in answer.output) == (1, True), answer.output


@pytest.mark.parametrize(
    "command",
    [
        ("explain", NOT_UTF8),
        ("message", NOT_UTF8, "--out", "out.json"),
        ("export", NOT_UTF8, "--out", "out.zip"),
        ("admin", "approve", NOT_UTF8),
        ("admin", "suspend", "someone", "--case", NOT_UTF8),
    ],
)
def test_an_argument_that_is_not_utf_8_is_refused_by_its_name(gateway: Gateway, command: tuple[str, ...]) -> None:
    gateway("init")
    answer = gateway(*command)
    assert (answer.exit_code, "not_utf8" in answer.output) == (1, True), answer.output


async def test_a_log_whose_name_looks_like_markup_is_verified_and_named(
    gateway: Gateway, sqlite_database: Database, tmp_path: Path
) -> None:
    bundle, vkey = await _bundle(sqlite_database, tmp_path, MARKUP)
    answer = gateway("verify", str(bundle), "--vkey", vkey)
    assert (answer.exit_code, MARKUP in answer.output) == (0, True), answer.output


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
async def test_the_exit_code_of_verify_depends_on_no_encoding_of_the_terminal(
    sqlite_database: Database, tmp_path: Path, encoding: str
) -> None:
    bundle, vkey = await _bundle(sqlite_database, tmp_path, "alliance.example")
    command = [sys.executable, "-m", "gateway", "verify", str(bundle), "--vkey"]

    def told(key: str) -> tuple[int, bytes]:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([*command, key], env=environment, check=False, capture_output=True)
        assert b"Traceback" not in done.stderr
        return done.returncode, done.stdout

    code, text = told(vkey)
    assert (code, b"ok: 1 entries" in text) == (0, True)
    assert told("nonsense")[0] == 2
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    assert told(vkey)[0] == 1


UNREADABLE = "/proc/self/mem"
"""A regular file, open to this process, of which nothing can be read at its beginning."""


@pytest.mark.skipif(
    not Path(UNREADABLE).exists(), reason="This system has no file that not even root can read: Linux has one in /proc."
)
async def test_a_file_that_cannot_be_read_is_no_sign_of_tampering(
    gateway: Gateway, sqlite_database: Database, tmp_path: Path
) -> None:
    bundle, vkey = await _bundle(sqlite_database, tmp_path, "alliance.example")
    held = str(bundle)
    proof = ("verify-proof", held, "--vkey", vkey)
    for command in (
        ("verify", held, "--vkey", vkey, "--seen", UNREADABLE),
        ("verify-proof", UNREADABLE, "--vkey", vkey, "--receipt", held, "--jwks", held),
        (*proof, "--receipt", UNREADABLE, "--jwks", held),
        (*proof, "--receipt", held, "--jwks", UNREADABLE),
    ):
        answer = gateway(*command)
        assert (answer.exit_code, UNREADABLE in answer.output) == (2, True), answer.output


async def test_a_verdict_is_one_line_however_narrow_the_terminal(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey = await _bundle(sqlite_database, tmp_path, "alliance.example")
    command = [sys.executable, "-m", "gateway", "verify", str(bundle), "--vkey", vkey]
    done = subprocess.run(command, env={**os.environ, "COLUMNS": "20"}, check=False, capture_output=True, text=True)
    told = f"✔ ok: 1 entries of {vkey.partition('+')[0]}, tree size 1\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


@pytest.mark.parametrize(
    "command",
    [
        ("admin", "pending", "nobody"),
        ("admin", "operators", "nobody"),
        ("admin", "case", "list", "nobody"),
        ("admin", "case", "count", "nobody", "--since", "2026-01-01"),
        ("rights", "list", "nobody"),
        ("withdrawals", "show", "nobody"),
        ("referrals", "list", "nobody"),
    ],
)
def test_of_a_mistyped_id_it_is_not_said_that_nothing_waits(gateway: Gateway, command: tuple[str, ...]) -> None:
    gateway("init")
    answer = gateway(*command)
    assert (answer.exit_code, "not_found" in answer.output) == (1, True), answer.output


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("proof", "nobody", "01a20a53-fdd8-76e8-b762-ee4e61428124"), "no entry of that event id"),
        (("message", "0" * 64, "--out", "out.json"), "No message of that digest"),
    ],
)
def test_what_is_not_there_is_named(gateway: Gateway, command: tuple[str, ...], told: str) -> None:
    gateway("init")
    answer = gateway(*command)
    assert (answer.exit_code, told in answer.output) == (1, True), answer.output


def test_an_entry_that_is_no_access_is_not_said_to_be_missing(gateway: Gateway) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    answer = gateway("explain", f"{alliance}:0")
    assert (answer.exit_code, "no access" in answer.output) == (1, True), answer.output


def test_an_export_that_has_no_place_is_refused_before_it_is_on_record(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    permit = permit_of(gateway, alliance)
    earlier = tmp_path / "earlier.zip"
    earlier.write_bytes(b"evidence")
    for out, code, told in (
        (tmp_path, 2, "directory"),
        (tmp_path / "none" / "bundle.zip", 1, "no_folder"),
        (earlier, 1, "file_exists"),
    ):
        answer = gateway("export", alliance, "--out", str(out), "--permit", permit)
        assert (answer.exit_code, told in answer.output) == (code, True), answer.output
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as database:
        [(begun,)] = database.execute("SELECT count(*) FROM leaf WHERE instr(body, 'log_export')").fetchall()
    assert (begun, earlier.read_bytes()) == (0, b"evidence")


def test_a_picture_that_has_no_place_is_refused_before_the_story(gateway: Gateway, tmp_path: Path) -> None:
    answer = gateway("demo", "--picture", str(tmp_path / "none" / "demo.svg"), "--out", str(tmp_path / "demo"))
    assert (answer.exit_code, "no_folder" in answer.output) == (1, True), answer.output
    assert not (tmp_path / "demo").exists()


def test_a_period_is_given_in_days_or_instants(gateway: Gateway) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    for since, until in (("2026-01-01", "2026-02-01"), ("2026-01-01T00:00:00Z", "2026-02-01T12:30:00Z")):
        answer = gateway("reciprocity", alliance, "--since", since, "--until", until)
        assert answer.exit_code == 0, answer.output
    assert gateway("reciprocity", alliance, "--since", "yesterday", "--until", "2026-02-01").exit_code == 2

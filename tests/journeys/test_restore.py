"""An older database brought back: nothing of it is signed, and people are told, until the newest one is back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

from tests.alliance import MARKET_SCHEMA, Member
from tests.served import Site, served

READS = 5
PATIENCE_S = 60.0


def _copy(site: Site, to: Path) -> None:
    """A consistent copy of the running database, as a backup takes it."""
    source, target = sqlite3.connect(site.settings.sqlite_path), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def _write_ahead_log(site: Site) -> Path:
    return Path(f"{site.settings.sqlite_path}-wal")


def _bring_back(site: Site, backup: Path) -> None:
    """Put a copy in place of the database, while no server runs."""
    assert not _write_ahead_log(site).exists()
    shutil.copy(backup, site.settings.sqlite_path)


def _signed_size(site: Site, log: str) -> int:
    """The size in the head that is kept outside the database."""
    head = site.settings.heads_path / f"{log}.checkpoint"
    return int(head.read_text().splitlines()[1]) if head.exists() else 0


async def _until_signed(site: Site, log: str, size: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _signed_size(site, log) < size:
        assert time.monotonic() < deadline, "what is durable is not signed"
        await asyncio.sleep(0.02)


async def _until_told(site: Site, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while what not in site.server.log.read_text():
        assert time.monotonic() < deadline, "nobody is told of the incident"
        await asyncio.sleep(0.02)


async def _verifier_key(site: Site, log: str) -> str:
    _, keys = await site.command("admin", "logs")
    return next(line.split('"')[3] for line in keys.splitlines() if '"vkey"' in line and log in line)


async def _read(hotel: Member, path: str, token: str) -> None:
    for _ in range(READS):
        answer = await hotel.get(path, token)
        assert answer.status_code == 200, answer.text


async def test_an_older_database_is_never_signed_and_the_newest_one_resumes(tmp_path: Path) -> None:
    async with served(tmp_path) as site:
        bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
        owner = bank.id
        path, token = await site.share_places()
        await _read(hotel, path, token)
        vkey, permit = await _verifier_key(site, owner), await site.permit(owner)
        own = await bank.token()
        await site.send_operators_home()
        older, newest = tmp_path / "older.db", tmp_path / "newest.db"
        _copy(site, older)
        await _read(hotel, path, token)
        entries = len(await site.rows(owner))
        await _until_signed(site, owner, entries)
        site.server.stop()
        assert not _write_ahead_log(site).exists(), "a stopped server leaves one file, fit to be copied"
        shutil.copy(site.settings.sqlite_path, newest)
        head = (site.settings.heads_path / f"{owner}.checkpoint").read_bytes()

        _bring_back(site, older)
        site.server.start()
        await _until_told(site, f"Log {owner} is not signed: The database is older")
        status, said = await site.export(owner, tmp_path / "older.zip", permit)
        assert status == 1
        assert "ledger_rolled_back" in said
        assert "Bring back the newest database" in said
        assert not (tmp_path / "older.zip").exists()
        kept = len(await site.rows(owner))
        refused = [
            await hotel.get(path, token),
            await bank.post("/v1/datasets", own, {"name": "more", "schema": MARKET_SCHEMA}),
            await site.alliance.http.get(f"{site.alliance.base}/healthz"),
        ]
        assert [answer.status_code for answer in refused] == [503] * 3, [answer.text for answer in refused]
        assert {answer.json()["code"] for answer in refused} == {"ledger_rolled_back"}
        assert len(await site.rows(owner)) == kept < entries
        await asyncio.sleep(1)  # two rounds of the integrator
        assert (site.settings.heads_path / f"{owner}.checkpoint").read_bytes() == head, "another history was signed"
        site.server.stop()

        _bring_back(site, newest)
        site.server.start()
        await _read(hotel, path, token)
        await _until_signed(site, owner, entries + READS)
        seen = tmp_path / "seen"
        seen.write_bytes(head)
        status, said = await site.export(owner, tmp_path / "newest.zip", permit)
        assert status == 0, said
        status, said = await site.command("verify", str(tmp_path / "newest.zip"), "--vkey", vkey, "--seen", str(seen))
        assert status == 0, said

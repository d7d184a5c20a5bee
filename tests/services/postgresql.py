"""A private PostgreSQL from the system's binaries: loopback only, a password of its own, fsync on."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import asyncpg

from tests.services.process import ComponentMissing, Service, ServiceFailed, version_of

_USER = "gateway"
_HOMES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")


def binaries() -> Path:
    """The folder that holds `initdb` and `postgres`: beside the one on PATH, else the newest version installed."""
    candidates = [
        Path(found).resolve().parent for program in ("initdb", "postgres") if (found := shutil.which(program))
    ]
    for home in map(Path, _HOMES):
        installed = [*home.glob("[0-9]*/bin"), *home.glob("postgresql@*/bin")]
        candidates += sorted(installed, key=lambda folder: _number(folder.parent.name), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ComponentMissing("PostgreSQL is not installed: get version 15 or newer (Debian: apt-get install postgresql).")


def _number(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0


def version() -> str:
    """As `PostgreSQL 15.18`; raises `ComponentMissing`."""
    said = version_of(str(binaries() / "postgres"), "--version")
    return "PostgreSQL " + said.split(")", 1)[1].split()[0]


class PostgreSQL(Service):
    """A cluster in a temporary folder. `url("name")` is the address of one of its databases."""

    name = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # fast shutdown

    def __init__(self) -> None:
        super().__init__()
        self._binaries = binaries()
        self._password = secrets.token_hex(16)

    @cached_property
    def user(self) -> str | None:
        """PostgreSQL refuses to run as root, so root lends it another user."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in known else "nobody"

    def url(self, database: str = "postgres") -> str:
        """`postgresql://user:password@host:port/database`."""
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self._password)
        if self.user is not None:
            for path in (self.directory, password_file):
                shutil.chown(path, self.user)
        password_file.chmod(0o600)
        made = subprocess.run(
            [
                str(self._binaries / "initdb"),
                *("-D", str(self.directory / "data"), "-U", _USER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
        )
        password_file.unlink()
        if made.returncode != 0:
            raise ServiceFailed(f"initdb failed with status {made.returncode}:\n{made.stdout}{made.stderr}")

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "fsync": "on",
            "max_connections": "100",
            "shared_buffers": "64MB",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [
            str(self._binaries / "postgres"), "-D", str(self.directory / "data"), "-p", str(self.port), *options,
        ]  # fmt: skip

    def ready(self) -> bool:
        asked = subprocess.run(
            [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres"],
            check=False,
        )
        return asked.returncode == 0

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser, outside a transaction; callable inside an event loop too."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._execute(statement)).result()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

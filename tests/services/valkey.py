"""A private Valkey (or Redis): loopback, a password of its own, never evicting."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
from collections.abc import Sequence

from tests.services.process import ComponentMissing, Service, version_of


def binary() -> str:
    """The server's program; raises `ComponentMissing`."""
    for program in ("valkey-server", "redis-server"):
        if path := shutil.which(program):
            return path
    raise ComponentMissing(
        "Neither valkey-server nor redis-server is installed (Debian: apt-get install redis-server)."
    )


def version() -> str:
    """As `Redis 7.0.15`; raises `ComponentMissing`."""
    said = version_of(binary(), "--version")
    number = re.search(r"v=([\d.]+)", said)
    return f"{said.split()[0]} {number.group(1) if number else said}"


class Valkey(Service):
    """A server in memory, `maxmemory-policy noeviction`; it keeps on disk what it is told to SAVE, and nothing else."""

    name = "Valkey"

    def __init__(self) -> None:
        super().__init__()
        self._program = binary()
        self._password = secrets.token_hex(16)

    @property
    def url(self) -> str:
        """`valkey://:password@host:port/0`."""
        return f"valkey://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        settings = self.directory / "server.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f'maxmemory 64mb\nmaxmemory-policy noeviction\nsave ""\nappendonly no\ndir {self.directory}\n'
        )

    def command(self) -> Sequence[str]:
        return [self._program, str(self.directory / "server.conf")]

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False

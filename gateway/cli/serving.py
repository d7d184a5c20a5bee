"""One server per embedded database: a second would sweep away the uploads that the first is receiving. One per port."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import Conflicting
from gateway.settings import Settings

_LOCK_NAME = "serving.lock"


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the data directory for as long as this process serves it; `already_serving` if another does.

    The operating system lets go when the process ends, however it ends. Servers on PostgreSQL may be many;
    without a database there is nothing to hold, and opening it says so.
    """
    if settings.database_url or not settings.sqlite_path.exists():
        yield
        return
    descriptor = os.open(settings.data_dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflicting(
                "already_serving",
                "Another gateway serves this data directory.",
                field="GATEWAY_DATA_DIR",
                remedy="Stop it first, or use PostgreSQL (GATEWAY_DATABASE_URL) for several servers.",
            ) from None
        yield
    finally:
        os.close(descriptor)


def refuse_taken(host: str, port: int, *, option: str) -> None:
    """`port_taken` if nobody could listen there now; `option` is what names the port.

    Whoever does not ask first takes the answers of the server that listens there already for its own.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise Conflicting(
                "port_taken",
                f"Nothing can listen on {host}, port {port}: {error.strerror or 'no such address'}.",
                field=option,
                remedy="Stop what listens there, or name another port.",
            ) from None

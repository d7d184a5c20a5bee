"""PostgreSQL databases of a test's own, with the whole schema: migrated once on each server, then copied."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from gateway import migrations
from tests.services.postgresql import PostgreSQL

OF_TESTS = "copy_"
"""What the name of each begins with."""


@contextmanager
def database_on(server: PostgreSQL) -> Iterator[str]:
    """The address of a database that ends with the block; callable inside an event loop too."""
    name = f"{OF_TESTS}{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {_migrated(server)}")
    try:
        yield server.url(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _migrated(server: PostgreSQL) -> str:
    server.execute("CREATE DATABASE migrated")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrations.upgrade(server.url("migrated"))).result()
    return "migrated"

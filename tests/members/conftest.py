from __future__ import annotations

from tests.agreements.conftest import sqlite_world, world

__all__ = ["sqlite_world", "world"]

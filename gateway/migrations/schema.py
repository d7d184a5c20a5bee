"""The whole schema: every package's tables, wherever they are declared."""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlalchemy import MetaData

from gateway.database import metadata

_GATEWAY = Path(__file__).parents[1]
_WITHOUT_SCHEMA = "demo"  # its tables are files


def complete_metadata() -> MetaData:
    """`gateway.database.metadata` after every `gateway.*.tables` module was imported."""
    importlib.import_module("gateway.database.idempotency")
    for tables in sorted(_GATEWAY.rglob("tables.py")):
        if tables.parent.name != _WITHOUT_SCHEMA:
            importlib.import_module(".".join(("gateway", *tables.relative_to(_GATEWAY).with_suffix("").parts)))
    return metadata

"""Published tables and vectors that may lie beside the project. They are no part of it, so they alone may be absent."""

from __future__ import annotations

from pathlib import Path

import pytest

ABSENT = "No part of the project: "
"""Begins the reason of every test that is skipped for them, and of no other."""

_BESIDE = Path(__file__).resolve().parents[2] / "shared"
DATA = _BESIDE / "data"
VECTORS = _BESIDE / "vectors"


def there(path: Path) -> Path:
    """The path, if it is there; else the test is skipped."""
    if not path.exists():
        pytest.skip(f"{ABSENT}{path.relative_to(_BESIDE)} is not beside it.")
    return path

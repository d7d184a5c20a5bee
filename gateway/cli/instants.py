"""How commands write instants."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.clock import seconds


def instant(milliseconds: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds(milliseconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

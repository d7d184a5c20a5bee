"""Reading JWT claims (RFC 7519) without trusting their types."""

from __future__ import annotations

from typing import Final

CLIENT_ID: Final = range(1, 129)
"""Lengths of a client's id."""

_LATEST: Final = 2**53


def numeric_date(value: object) -> int | float | None:
    """A NumericDate (RFC 7519 section 2), or None for anything else: booleans, strings, infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LATEST < value < _LATEST:
        return None
    return value


def text(value: object, lengths: range) -> str | None:
    """A printable ASCII string of an allowed length, or None."""
    if isinstance(value, str) and len(value) in lengths and value.isascii() and value.isprintable():
        return value
    return None

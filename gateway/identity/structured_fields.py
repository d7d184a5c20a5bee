"""Structured Fields (RFC 9651), read strictly: what a field says twice is refused, where the RFC lets the last win."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import http_sf

from gateway.errors import Invalid


class FieldRefused(Invalid):
    """The field is absent, malformed, ambiguous, or of another kind than expected."""

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__("invalid_field", detail, field=field)


def field_value(headers: Sequence[tuple[bytes, bytes]], name: str) -> str:
    """A field's value: its lines trimmed and joined (RFC 9421 section 2.1). `headers` have lower-case names.

    `FieldRefused` where there is none, or a character that is neither printable ASCII nor a tab.
    """
    lines = [value.strip(b" \t") for key, value in headers if key == name.encode()]
    if not lines:
        raise FieldRefused("The field is absent.", field=name)
    value = b", ".join(lines).decode("latin-1")
    if not value.isascii() or not value.replace("\t", " ").isprintable():
        raise FieldRefused("The field has a character that is not printable ASCII.", field=name)
    return value


def dictionary(value: str, *, field: str) -> dict[str, tuple[Any, dict[str, Any]]]:
    """A Dictionary's members, each with its parameters; an inner list is a list of such pairs."""

    def refuse(_: str, where: str) -> None:
        raise FieldRefused(f"A {where} key stands there twice.", field=field)

    try:
        members: Any = http_sf.parse(value.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse)
    except ValueError:
        raise FieldRefused("Not a Structured Fields Dictionary.", field=field) from None
    return dict(members)


def serialised(value: Any) -> str:
    """The one text of an item, an inner list or a Dictionary (RFC 9651 section 4.1)."""
    return http_sf.ser(value if isinstance(value, dict) else [value])

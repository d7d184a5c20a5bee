"""How records look in a file: as NDJSON, one object a line, or as CSV (RFC 4180) under one header row."""

from __future__ import annotations

import json
import re
from binascii import hexlify
from collections.abc import Sequence
from typing import Protocol

_PLAIN = re.compile(r'[^",;\s](?:[^",;\r\n\t]*[^",;\s])?')

Records = Sequence[tuple[bytes, bytes]]
"""Opened records as (id, JSON object)."""

ID_COLUMN = "@id"
"""The CSV column of the record's id; no field can have this name."""


class Format(Protocol):
    """Writes a file piece by piece; the bytes of a page are the same whichever pages came before."""

    @property
    def media_type(self) -> str: ...

    def head(self, fields: Sequence[str]) -> bytes:
        """What stands before the first record."""

    def rows(self, fields: Sequence[str], records: Records) -> bytes:
        """The records of one page."""


class Ndjson:
    """`{"id","fields"}` a line, as the API shows a record; a field that is not consented to is absent."""

    media_type = "application/x-ndjson"

    def head(self, fields: Sequence[str]) -> bytes:  # noqa: ARG002 - as the protocol has it
        """Nothing."""
        return b""

    def rows(self, fields: Sequence[str], records: Records) -> bytes:  # noqa: ARG002 - each record names its own
        """One line a record."""
        return b"".join([b'{"id":"%b","fields":%b}\n' % (hexlify(name), found) for name, found in records])


class Csv:
    """The id, then each field. Null and a field that is not consented to are an empty cell, an empty text is `""`.

    Numbers keep their digits. A text is what the owner uploaded: a spreadsheet may take one that begins with `=` for
    a formula.
    """

    media_type = "text/csv"

    def head(self, fields: Sequence[str]) -> bytes:
        """The names of the columns."""
        return _written([[ID_COLUMN, *fields]])

    def rows(self, fields: Sequence[str], records: Records) -> bytes:
        """One row a record."""
        return _written([[hexlify(name).decode(), *_cells(fields, found)] for name, found in records])


def _cells(fields: Sequence[str], found: bytes) -> list[str]:
    values = json.loads(found, parse_int=_Digits, parse_float=_Digits)
    return [_cell(values.get(field)) for field in fields]


class _Digits(str):
    """A number as it was written."""

    __slots__ = ()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, _Digits):
        return value
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else '"' + value.replace('"', '""') + '"'
    return "true" if value else "false"


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join([",".join(row) + "\r\n" for row in rows]).encode()


FORMATS: dict[str, Format] = {"csv": Csv(), "ndjson": Ndjson()}
"""Every format by the name that a request gives it."""

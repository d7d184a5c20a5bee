"""From cells and JSON values to the JSON bytes that are sealed, one column at a time.

What passes is what the dataset's JSON Schema accepts, with formats asserted; a test compares the two. Strings
are kept as given (NFKC where `x-format` is phone), numbers in CSV keep their decimal text, integers fit in 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import jsonschema_rs
import orjson

from gateway.catalog.declaration import PATTERN_OPTIONS
from gateway.catalog.schema import Field
from gateway.characters import normalised

Encode = Callable[[Any], bytes]

MESSAGES = {
    "missing_value": "The field may not be empty.",
    "wrong_type": "The value is not of the field's type.",
    "invalid_text": "The text is not valid Unicode.",
    "invalid_date": "The value is no date of the form 2013-01-31.",
    "invalid_datetime": "The value is no instant of the form 2013-01-31T08:00:00Z.",
    "too_long": "The text is longer than the field allows.",
    "too_short": "The text is shorter than the field allows.",
    "pattern": "The text does not match the field's pattern.",
    "too_small": "The number is below the field's minimum.",
    "too_great": "The number is above the field's maximum.",
    "not_listed": "The value is not among those that the field lists.",
    "cell_too_large": "A row, and so a cell, is at most 1 MiB.",
    "invalid_utf8": "The row is not UTF-8.",
    "broken_quoting": "A quote is opened and not closed, or stands inside an unquoted cell.",
    "wrong_number_of_cells": "The row has more or fewer cells than the header.",
    "unknown_field": "The dataset has no such field.",
    "missing_field": "A required field is absent.",
    "invalid_row": "The row is not one JSON object with each member once.",
    "duplicate": "The row's unique fields occurred before.",
}
"""Every reason for which a row may be refused. None of them quotes the row."""

REMEMBERED = 4096
_REMEMBERED_LENGTH = 64
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 40
_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(?:[Zz]|([+-][0-9]{2}:[0-9]{2}))"
)
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), b"true"),
    **dict.fromkeys(("false", "False", "FALSE"), b"false"),
}


class CellRefused(Exception):
    """One cell keeps its row out. `code` is one of `MESSAGES`; it never leaves the catalog."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Column:
    """How one field is read: `of_value` from parsed JSON, `of_text` from a CSV cell.

    `remembered` holds the bytes of cells seen before: most columns repeat themselves, and a look-up costs a
    tenth of a conversion. It is bounded and lives as long as one upload.
    """

    def __init__(self, field: Field, *, null: str | None = None) -> None:
        self.of_value: Encode = _of_value(field)
        self.remembered: dict[str, bytes] = {}
        self._null = null
        self._of_text = _of_text(field, self.of_value)

    def of_text(self, cell: str) -> bytes:
        """The JSON bytes of a cell; an empty one and `null` are null. `CellRefused` if the schema does not allow it."""
        found = self.remembered.get(cell)
        if found is not None:
            return found
        encoded = self._of_text(cell) if cell and cell != self._null else self.of_value(None)
        if len(self.remembered) < REMEMBERED and len(cell) <= _REMEMBERED_LENGTH:
            self.remembered[cell] = encoded
        return encoded


def _of_text(field: Field, of_value: Encode) -> Callable[[str], bytes]:
    if field.type == "boolean":
        return _boolean
    if field.type == "integer":
        return lambda cell: of_value(_parsed_integer(cell))
    if field.type == "number":
        check = _bounds(field)

        def number(cell: str) -> bytes:
            text = cell.strip(" ")
            if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text) or not isfinite(float(text)):
                raise CellRefused("wrong_type")
            check(float(text))
            return text.encode()

        return number
    return of_value


def _boolean(cell: str) -> bytes:
    try:
        return _BOOLEANS[cell.strip(" ")]
    except KeyError:
        raise CellRefused("wrong_type") from None


def _parsed_integer(cell: str) -> int:
    text = cell.strip(" ")
    if not _INTEGER.fullmatch(text):
        raise CellRefused("wrong_type")
    return int(text)


def _of_value(field: Field) -> Encode:
    encode = {"boolean": _of_boolean, "integer": _of_integer, "number": _of_number}.get(field.type, _of_string)(field)
    listed = field.keywords.get("enum")
    empty = b"null" if field.nullable else None

    def of_value(value: Any) -> bytes:
        if value is None:
            if empty is None:
                raise CellRefused("missing_value")
            return empty
        if listed is not None and value not in listed:
            raise CellRefused("not_listed")
        return encode(value)

    return of_value


def _of_boolean(_: Field) -> Encode:
    def encode(value: Any) -> bytes:
        if value is True or value is False:
            return b"true" if value else b"false"
        raise CellRefused("wrong_type")

    return encode


def _of_integer(field: Field) -> Encode:
    check = _bounds(field)

    def encode(value: Any) -> bytes:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
            raise CellRefused("wrong_type")
        check(value)
        return b"%d" % value

    return encode


def _of_number(field: Field) -> Encode:
    check = _bounds(field)

    def encode(value: Any) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise CellRefused("wrong_type")
        check(value)
        return b"%d" % value if isinstance(value, int) else orjson.dumps(value)

    return encode


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond every double
        return False


def _bounds(field: Field) -> Callable[[float], None]:
    least, most = field.keywords.get("minimum"), field.keywords.get("maximum")

    def check(value: float) -> None:
        if least is not None and value < least:
            raise CellRefused("too_small")
        if most is not None and value > most:
            raise CellRefused("too_great")

    return check


def _of_string(field: Field) -> Encode:
    checks = _text_checks(field)
    phone = "x-format" in field.keywords

    def encode(value: Any) -> bytes:
        if not isinstance(value, str):
            raise CellRefused("wrong_type")
        text = normalised(value) if phone else value
        for check in checks:
            check(text)
        try:
            return orjson.dumps(text)
        except TypeError:
            raise CellRefused("invalid_text") from None

    return encode


def _text_checks(field: Field) -> list[Callable[[str], None]]:
    checks: list[Callable[[str], None]] = []
    least, most = field.keywords.get("minLength", 0), field.keywords.get("maxLength")
    if least:
        checks.append(_refusing("too_short", lambda text: len(text) >= least))
    if most is not None:
        checks.append(_refusing("too_long", lambda text: len(text) <= most))
    if "pattern" in field.keywords:
        matches = _matcher(field.keywords["pattern"])
        checks.append(_refusing("pattern", lambda text: _is_unicode(text) and matches(text)))
    if field.type == "date":
        checks.append(_refusing("invalid_date", _is_date))
    elif field.type == "datetime":
        checks.append(_refusing("invalid_datetime", _is_datetime))
    return checks


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """Compiled once, for every filter and every agreed value makes a column."""
    asked = {"type": "string", "pattern": pattern}
    matches: Callable[[str], bool] = jsonschema_rs.Draft202012Validator(asked, pattern_options=PATTERN_OPTIONS).is_valid
    return matches


def _refusing(code: str, holds: Callable[[str], bool]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not holds(text):
            raise CellRefused(code)

    return check


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_datetime(text: str) -> bool:
    """RFC 3339 section 5.6, without leap seconds."""
    parts = _DATETIME.fullmatch(text)
    if parts is None:
        return False
    try:
        datetime.fromisoformat(f"{parts[1]}T{parts[2]}{parts[3] or '+00:00'}")
    except ValueError:
        return False
    return True

"""How each kind of value in terms is read: strictly, with an error that names the field by its JSON pointer."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import MAXYEAR, UTC, datetime
from typing import Any

from gateway.errors import Invalid
from gateway.identifiers import PURPOSE_PATTERN

IDENTIFIER = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
FIELD_NAME = "[A-Za-z_][A-Za-z0-9_]{0,63}"
PURPOSE = PURPOSE_PATTERN
LONGEST_PURPOSE = 64
LONGEST_TITLE = 200

_INSTANT = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_EARLIEST_YEAR = 1970
_QUOTED = 64


def members(value: Any, names: Sequence[str], at: str, *, optional: Sequence[str] = ()) -> None:
    """The value is an object with exactly these members, and perhaps the optional ones."""
    if not isinstance(value, dict):
        raise Invalid("terms_wrong_type", "This must be an object.", field=at or "/")
    for name in value:
        if name not in names and name not in optional:
            raise Invalid(
                "terms_member_unknown",
                "A member is not known here.",
                field=f"{at}/{_quotable(name)}",
                remedy="Leave it out.",
            )
    for name in names:
        if name not in value:
            raise Invalid("terms_member_missing", "A member is missing.", field=f"{at}/{name}")


def items(value: Any, at: str, most: int) -> Sequence[Any]:
    """The value is an array of 1 to `most` items."""
    if not isinstance(value, list):
        raise Invalid("terms_wrong_type", "This must be an array.", field=at)
    if not value:
        raise Invalid("terms_empty", "This must name at least one item.", field=at)
    if len(value) > most:
        raise Invalid("terms_out_of_range", f"This may name at most {most} items.", field=at)
    return value


def text(value: Any, at: str) -> str:
    """The value is a string."""
    if not isinstance(value, str):
        raise Invalid("terms_wrong_type", "This must be a string.", field=at)
    return value


def matching(value: Any, at: str, pattern: str) -> str:
    """The value is a string of one form: `IDENTIFIER`, `FIELD_NAME` or `PURPOSE` (at most 64 characters)."""
    if not re.fullmatch(pattern, text(value, at)) or len(value) > LONGEST_PURPOSE:
        code = "terms_purpose_malformed" if pattern is PURPOSE else "terms_name_malformed"
        raise Invalid(code, "This name has a form that is not allowed.", field=at, remedy=f"Use {pattern}.")
    return str(value)


def sentence(value: Any, at: str) -> str:
    """The value is 1 to 200 printable characters, with no blank at either end."""
    found = text(value, at)
    if not 0 < len(found) <= LONGEST_TITLE or not found.isprintable() or found != found.strip():
        raise Invalid("terms_text_malformed", f"This must be 1 to {LONGEST_TITLE} printable characters.", field=at)
    return found


def whole(value: Any, at: str, least: int, most: int) -> int:
    """The value is an integer in a range; neither a fraction nor a boolean."""
    if type(value) is not int:
        raise Invalid("terms_wrong_type", "This must be an integer.", field=at)
    if not least <= value <= most:
        raise Invalid("terms_out_of_range", f"This must be from {least} to {most}.", field=at)
    return value


def choice(value: Any, at: str, options: Sequence[str]) -> str:
    """The value is one of a closed set of words."""
    if text(value, at) not in options:
        raise Invalid("terms_word_unknown", "This word is not known.", field=at, remedy=f"Use {' or '.join(options)}.")
    return str(value)


def instant(value: Any, at: str) -> int:
    """Epoch seconds of an RFC 3339 time in UTC with whole seconds, as `2026-01-31T00:00:00Z`."""
    found = _INSTANT.fullmatch(text(value, at))
    if found is None:
        raise Invalid(
            "terms_not_utc", "This is no UTC time in whole seconds.", field=at, remedy="Write 2026-01-31T00:00:00Z."
        )
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise Invalid("terms_no_such_time", "There is no such day or time.", field=at) from None
    if year < _EARLIEST_YEAR:
        raise Invalid("terms_out_of_range", f"Years begin with {_EARLIEST_YEAR} here.", field=at)
    return calendar.timegm(moment.utctimetuple())


def years_after(instant_s: int, years: int) -> int:
    """The same moment `years` years later, in epoch seconds; 29 February becomes 1 March where there is none."""
    moment = datetime.fromtimestamp(instant_s, UTC)
    try:
        later = moment.replace(year=moment.year + years)
    except ValueError:
        if moment.year + years > MAXYEAR:
            raise Invalid("instant_out_of_range", "The term ends after the year 9999.") from None
        later = moment.replace(year=moment.year + years, month=3, day=1)
    return calendar.timegm(later.utctimetuple())


def _quotable(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:_QUOTED]

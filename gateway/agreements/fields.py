"""How each kind of value in terms is read: strictly, with an error that names the field by its JSON pointer."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, UTC, datetime
from datetime import date as Date  # noqa: N812 - a type, beside the function that reads one
from typing import Any

from gateway.characters import shown_as_written, without_strays
from gateway.errors import Invalid
from gateway.identifiers import PURPOSE_PATTERN

IDENTIFIER = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
FIELD_NAME = "[A-Za-z_][A-Za-z0-9_]{0,63}"
PURPOSE = PURPOSE_PATTERN
TEMPLATE = "[a-z][a-z0-9_]{0,63}"
LONGEST_PURPOSE = 64
LONGEST_TITLE = 200
LONGEST_PROSE = 8000
MOST_LINES = 400
LONGEST_VALUE = 256

_INSTANT = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_DATE = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME_OF_DAY = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")
_TIME_ZONE = re.compile("[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}")
_COUNTRY = re.compile("[A-Z]{2}")
_LONGEST_TIME_ZONE = 64
_EARLIEST_YEAR = 1970
_IDEOGRAPHIC_SPACE = "\u3000"
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no text of terms has ever held. What is kept is read by this alone, however strict the entrance becomes."""
_WIDE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_BLANK = re.compile(f"{_WIDE.pattern}|[\t{_IDEOGRAPHIC_SPACE}\u2800]")
_MARKS = re.compile(r"[\u061c\u200e\u200f]")
"""What keyboards put into a text of two directions unseen; what is around it is not turned (UAX #9)."""
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
    """As `kept_sentence`, and shown as it is written."""
    return kept_sentence(shown_as_written(text(value, at), at), at)


def prose(value: Any, at: str) -> str:
    """As `kept_prose`, and shown as it is written."""
    return kept_prose(shown_as_written(text(value, at), at, lines=True), at)


def kept_sentence(value: Any, at: str) -> str:
    """The value is 1 to 200 characters in one line, with no blank at either end."""
    found = text(value, at)
    if not 0 < len(found) <= LONGEST_TITLE or _UNREADABLE.search(found) or found != found.strip():
        raise Invalid("terms_text_malformed", f"This must be 1 to {LONGEST_TITLE} characters in one line.", field=at)
    return found


def kept_prose(value: Any, at: str) -> str:
    """The value is 1 to 8000 characters in at most 400 lines ended by LF, with no blank at either end.

    The ideographic space (U+3000) is printed like any other character: a Chinese paragraph begins with two of them.
    """
    found = text(value, at)
    words = found.lstrip(_IDEOGRAPHIC_SPACE)
    lines = found.split("\n")
    readable = len(lines) <= MOST_LINES and not any(_UNREADABLE.search(one) or _WIDE.search(one) for one in lines)
    if not words or len(found) > LONGEST_PROSE or not readable or words != words.strip():
        raise Invalid(
            "terms_text_malformed",
            f"This must be 1 to {LONGEST_PROSE} characters in at most {MOST_LINES} lines, ended by LF.",
            field=at,
            remedy="Leave out controls, blanks other than spaces, and blanks at either end.",
        )
    return found


def own_words(value: Any, at: str) -> str:
    """What a person wrote, without blanks at either end: 1 to 8000 characters in at most 400 lines.

    Any script and sign is taken. Blanks of every width are spaces, what has no ink is left out unless its script
    needs it, and lines end with LF; what is left is shown as it is written.
    """
    given = text(value, at).replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    found = without_strays(_MARKS.sub("", _BLANK.sub(" ", given))).strip()
    if not 0 < len(found) <= LONGEST_PROSE or found.count("\n") >= MOST_LINES:
        raise Invalid(
            "terms_text_malformed",
            f"This must be 1 to {LONGEST_PROSE} characters in at most {MOST_LINES} lines.",
            field=at,
        )
    return shown_as_written(found, at, lines=True)


def value_to_match(value: Any, at: str) -> str:
    """The value is a string of 1 to 256 characters in one line, as it stands in a record."""
    found = text(value, at)
    if not 0 < len(found) <= LONGEST_VALUE or _UNREADABLE.search(found):
        raise Invalid("terms_text_malformed", f"This must be 1 to {LONGEST_VALUE} characters in one line.", field=at)
    return found


def unrepeated(found: Sequence[str], at: str) -> tuple[str, ...]:
    """These words, none of them twice."""
    if len(set(found)) != len(found):
        raise Invalid("terms_repeated", "An item is named twice.", field=at, remedy="Name each once.")
    return tuple(found)


def distinct(value: Any, at: str, most: int, pattern: str) -> tuple[str, ...]:
    """The value is an array of 1 to `most` names of one form, none of them twice."""
    return unrepeated([matching(item, f"{at}/{i}", pattern) for i, item in enumerate(items(value, at, most))], at)


def choices(value: Any, at: str, words: Sequence[str]) -> tuple[str, ...]:
    """The value is an array of words of a closed set, none of them twice."""
    found: Iterable[str] = (choice(item, f"{at}/{i}", words) for i, item in enumerate(items(value, at, len(words) * 2)))
    return unrepeated(list(found), at)


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


def date(value: Any, at: str) -> Date:
    """A day of the calendar, as `2026-01-31`."""
    found = _DATE.fullmatch(text(value, at))
    if found is None:
        raise Invalid("terms_no_date", "This is no date.", field=at, remedy="Write 2026-01-31.")
    year, month, day = map(int, found.groups())
    try:
        day_ = Date(year, month, day)
    except ValueError:
        raise Invalid("terms_no_such_time", "There is no such day or time.", field=at) from None
    if year < _EARLIEST_YEAR:
        raise Invalid("terms_out_of_range", f"Years begin with {_EARLIEST_YEAR} here.", field=at)
    return day_


def time_of_day(value: Any, at: str) -> str:
    """A time of the day in hours and minutes, as `09:30`."""
    if not _TIME_OF_DAY.fullmatch(text(value, at)):
        raise Invalid("terms_no_time_of_day", "This is no time of the day.", field=at, remedy="Write 09:30.")
    return str(value)


def time_zone(value: Any, at: str) -> str:
    """A name that has the form of an IANA time zone; whether there is such a zone, the host's database says."""
    if not _TIME_ZONE.fullmatch(text(value, at)) or len(value) > _LONGEST_TIME_ZONE:
        raise Invalid(
            "terms_time_zone_malformed", "This is no time zone's name.", field=at, remedy="Write Asia/Shanghai."
        )
    return str(value)


def country(value: Any, at: str) -> str:
    """A country's two capital letters (ISO 3166-1 alpha-2)."""
    if not _COUNTRY.fullmatch(text(value, at)):
        raise Invalid("terms_country_malformed", "A country is two capital letters.", field=at, remedy="Write CN.")
    return str(value)


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

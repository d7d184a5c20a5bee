"""Duties as an iCalendar file (RFC 5545), for the calendars that people use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.clock import seconds

MEDIA_TYPE: Final = "text/calendar; charset=utf-8"
_LONGEST_LINE: Final = 75
_ESCAPES: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


def icalendar(duties: Sequence[Mapping[str, Any]], now_ms: int) -> bytes:
    """One event for each duty, at its due instant; provisional ones are tentative."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Alliance Gateway//Duties//EN", "CALSCALE:GREGORIAN"]
    for one in duties:
        lines += _event(one, now_ms)
    lines.append("END:VCALENDAR")
    return b"".join(folded + b"\r\n" for line in lines for folded in _folded(line))


def _event(one: Mapping[str, Any], now_ms: int) -> list[str]:
    what, name = _named(one)
    stamp = datetime.fromtimestamp(seconds(now_ms), UTC).strftime("%Y%m%dT%H%M%SZ")
    at = str(one["due_at"]).replace("-", "").replace(":", "")
    note = f"State: {one['state']}. Agreement: {one['agreement']}."
    return [
        "BEGIN:VEVENT",
        f"UID:{one['agreement']}.{name}@alliance-gateway",
        f"DTSTAMP:{stamp}",
        f"DTSTART:{at}",
        f"SUMMARY:{what.translate(_ESCAPES)} ({one['state']})",
        f"DESCRIPTION:{note.translate(_ESCAPES)}",
        f"STATUS:{'TENTATIVE' if one.get('provisional') else 'CONFIRMED'}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _named(one: Mapping[str, Any]) -> tuple[str, str]:
    """What a duty is called, and what tells it from others under its agreement."""
    match one["kind"]:
        case "delivery":
            return f"Upload of {one['dataset']}", f"{one['dataset']}.{one['period']}"
        case "withdrawal":
            return f"Follow a withdrawal: {one['follow_up']}", str(one["follow_up"])
    return f"Return or destroy: {one['agreement']}", str(one["member"])


def _folded(line: str) -> Iterator[bytes]:
    """The line in pieces of at most 75 octets, each after the first with a blank before it, no character split."""
    piece, limit = b"", _LONGEST_LINE
    for character in line:
        encoded = character.encode()
        if len(piece) + len(encoded) > limit:
            yield piece
            piece, limit = b" ", _LONGEST_LINE
        piece += encoded
    yield piece

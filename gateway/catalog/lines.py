"""From a stream of bytes to lines of text, and from lines to rows of CSV, in bounded memory.

Line ends are LF, CRLF and CR, mixed as they come; a byte-order mark is dropped. CSV is that of RFC 4180. A row that
breaks its grammar is refused by the line it begins on, and reading goes on at the next line. A row longer than
`LONGEST_ROW` is refused and streams by until its quotes are balanced again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.errors import Invalid

LONGEST_ROW = 1 << 20
"""Bytes of a line, and characters of a row that spans lines; there each line counts `_LINE_COST` more."""

_LINE_COST = 64
_MOST_BYTES = 4  # of a character in UTF-8

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(r"(\r\n|\r|\n)")
_FIRST_LINE_END = re.compile(rb"\r\n|\r|\n")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class Line(NamedTuple):
    """A line, or a row made of several; `refused` is the code of the reason for which it cannot be read."""

    number: int
    text: str
    end: str = "\n"
    refused: str | None = None
    opens_quote: bool = False
    """Of a line too long to keep: whether it has an odd number of quotes."""


class LineSplitter:
    """Cuts blocks of bytes into lines."""

    def __init__(self) -> None:
        self._waiting = b""
        self._number = 0
        self._at_start = True
        self._dropping = False
        self._dropped_quotes = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        waiting = self._waiting + data
        if self._at_start:
            if len(waiting) < len(_BOM):
                self._waiting = waiting
                return []
            self._at_start = False
            waiting = waiting.removeprefix(_BOM)
        lines: list[Line] = []
        if self._dropping:
            waiting = self._drop(waiting, lines)
        end = max(waiting.rfind(b"\n"), waiting.rfind(b"\r", 0, -1)) + 1  # the last CR may be half of a CRLF
        if end:
            lines.extend(self._cut(waiting[:end]))
        self._waiting = waiting[end:]
        if len(self._waiting.removesuffix(b"\r")) > LONGEST_ROW:
            self._dropping = True
            self._waiting = self._drop(self._waiting, lines)
        return lines

    def finish(self) -> list[Line]:
        """The lines that the end of the stream completes."""
        rest = self._waiting.removeprefix(_BOM) if self._at_start else self._waiting
        self._waiting = b""
        if self._dropping:
            lines: list[Line] = []
            rest = self._drop(rest + b"\n", lines)
            return lines
        return list(self._cut(rest if rest.endswith((b"\r", b"\n")) else rest + b"\n")) if rest else []

    def _cut(self, data: bytes) -> Iterator[Line]:
        text = data.decode("utf-8", "surrogateescape")
        suspect = _ESCAPED_BYTE.search(text) is not None
        if "\r" in text:
            pieces = _LINE_END.split(text)
            pairs: Iterable[tuple[str, str]] = zip(pieces[:-1:2], pieces[1::2], strict=True)
        else:
            pairs = ((line, "\n") for line in text.split("\n")[:-1])
        number = self._number
        for line, end in pairs:
            number += 1
            if _is_too_long(line):
                yield Line(number, "", end, "cell_too_large", line.count('"') % 2 == 1)
            elif suspect and _ESCAPED_BYTE.search(line):
                yield Line(number, line, end, "invalid_utf8")
            else:
                yield Line(number, line, end)
        self._number = number

    def _drop(self, waiting: bytes, lines: list[Line]) -> bytes:
        """Let a line that is too long stream by; what follows its end is returned."""
        found = _FIRST_LINE_END.search(waiting)
        if found is None or (found[0] == b"\r" and found.end() == len(waiting)):
            kept = b"\r" if found else b""
            self._dropped_quotes += waiting.count(b'"')
            return kept
        self._number += 1
        quotes = self._dropped_quotes + waiting.count(b'"', 0, found.start())
        lines.append(Line(self._number, "", "\n", "cell_too_large", quotes % 2 == 1))
        self._dropping, self._dropped_quotes = False, 0
        return waiting[found.end() :]


def _is_too_long(line: str) -> bool:
    """Whether a line has more bytes than a row may have: as many as it is dropped for while it streams by."""
    return len(line) > LONGEST_ROW // _MOST_BYTES and len(line.encode("utf-8", "surrogateescape")) > LONGEST_ROW


class QuotedRows:
    """Joins lines into rows of CSV, whose quoted cells may hold line ends."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter)
        inside = '(?:[^"]++|"")*+'
        cell = f'(?:"{inside}"|[^"{d}]*+)'
        self._complete = re.compile(f"{cell}(?:{d}{cell})*+")
        self._opening = re.compile(f'(?:{cell}{d})*"{inside}')
        self._closing = re.compile(f'{inside}"(?:{d}{cell})*+')
        self._staying = re.compile(f'{inside}(?:"{d}(?:{cell}{d})*"{inside})?')
        self._held: list[Line] = []
        self._held_length = 0
        self._dropping_since = 0

    def feed(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The rows that `lines` complete. Lines that are empty between rows are no rows."""
        for line in lines:
            if not self._held and not self._dropping_since and line.refused is None and '"' not in line.text:
                if line.text:
                    yield line
            else:
                yield from self._through(line)

    def finish(self) -> Iterator[Line]:
        """The rows that the end of the stream completes; `Invalid` if it swallowed lines in an endless quote."""
        if self._dropping_since:
            raise Invalid(
                "broken_quoting",
                "A quote is opened and never closed, so the rows after it cannot be told apart.",
                field=f"line {self._dropping_since}",
                remedy="Close the quote and upload again.",
            )
        while self._held:
            yield from self._broken(deque())

    def _through(self, line: Line) -> Iterator[Line]:
        pending = deque([line])
        while pending:
            current = pending.popleft()
            if self._dropping_since:
                self._pass(current)
            elif self._held:
                yield from self._inside(current, pending)
            else:
                yield from self._outside(current)

    def _outside(self, line: Line) -> Iterator[Line]:
        if line.refused == "cell_too_large":
            self._dropping_since = line.number if line.opens_quote else 0
            yield line
        elif '"' not in line.text:
            if line.text:
                yield line
        elif self._complete.fullmatch(line.text):
            yield line
        elif self._opening.fullmatch(line.text):
            self._held, self._held_length = [line], len(line.text)
        else:
            yield line._replace(text="", refused=line.refused or "broken_quoting")

    def _inside(self, line: Line, pending: deque[Line]) -> Iterator[Line]:
        self._held_length += len(line.text) + len(line.end) + _LINE_COST
        if line.refused == "cell_too_large" or self._held_length > LONGEST_ROW:
            began = self._held[0].number
            self._held = []
            self._dropping_since = began
            self._pass(line)
            yield Line(began, "", refused="cell_too_large")
        elif '"' not in line.text or self._staying.fullmatch(line.text):
            self._held.append(line)
        elif self._closing.fullmatch(line.text):
            rows = [*self._held, line]
            self._held = []
            text = "".join(row.text + row.end for row in rows[:-1]) + line.text
            yield Line(rows[0].number, text, line.end, next((row.refused for row in rows if row.refused), None))
        else:
            self._held.append(line)
            yield from self._broken(pending)

    def _broken(self, pending: deque[Line]) -> Iterator[Line]:
        """Refuse the line that a row began on and read the lines after it anew.

        A line that leaves a quote open when read inside one has an even number of quotes, so read anew it opens
        none: each line is read at most twice.
        """
        first, *rest = self._held
        self._held = []
        yield Line(first.number, "", refused="broken_quoting")
        pending.extendleft(reversed(rest))
        while pending:
            yield from self._through(pending.popleft())

    def _pass(self, line: Line) -> None:
        flips = line.opens_quote if line.refused == "cell_too_large" else line.text.count('"') % 2 == 1
        if flips:
            self._dropping_since = 0


def cells_of(row: str, delimiter: str) -> list[str]:
    """The cells of one row that follows the grammar."""
    if '"' not in row:
        return row.split(delimiter)
    cells = []
    at = 0
    while True:
        if row.startswith('"', at):
            end = _end_of_quoted(row, at + 1)
            cells.append(row[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = row.find(delimiter, at)
            end = len(row) if end < 0 else end
            cells.append(row[at:end])
            at = end
        if at >= len(row):
            return cells
        at += 1


def _end_of_quoted(row: str, at: int) -> int:
    while True:
        end = row.index('"', at)
        if not row.startswith('"', end + 1):
            return end
        at = end + 2


def sniffed_delimiter(header: str) -> str:
    """The delimiter that the header line uses most outside quotes: comma, semicolon or tab."""
    outside = "".join(header.split('"')[::2])
    return max(",;\t", key=outside.count)

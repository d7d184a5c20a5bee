"""Reads `consents.csv`: UTF-8 with or without a byte-order mark, whatever its line ends, row by row in bounded memory.

Cells but the subject's and the evidence's are normalised (NFKC), so that full-width digits and commas read as the
plain ones. A day without a time is read as that day's first second where the rulebook holds, the earliest instant at
which the consent can have been given: what was withdrawn or published on the same day is then the later one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.business_days import RULEBOOK_ZONE, time_zone
from gateway.catalog.dataset import Dataset
from gateway.catalog.lines import Line, LineSplitter, QuotedRows, cells_of, sniffed_delimiter
from gateway.characters import normalised
from gateway.consents.offline.archive import SHEET
from gateway.consents.offline.reasons import RefusedRow, RowRefused
from gateway.consents.record import DEFAULT_TERM_S, LONGEST_TERM_S
from gateway.consents.statement import LONGEST_SUBJECT
from gateway.errors import Invalid, TooLarge
from gateway.identifiers import PURPOSE_PATTERN

COLUMNS: Final = (
    *("subject", "recipient", "purpose", "fields", "notice_sha256", "given", "staff", "store"),
    *("expires", "evidence", "language"),
)
_OPTIONAL: Final = frozenset({"expires", "language"})
MOST_ROWS: Final = 100_000
MOST_LINES: Final = 300_000
"""A quoted cell may hold line ends; a sheet of nothing else would be read for minutes."""
_LANGUAGES: Final = {"": "zh-CN", "zh-CN": "zh-CN", "en": "en"}
_MEMBER = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PURPOSE = re.compile(PURPOSE_PATTERN)
_NUMBER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SEPARATORS = re.compile(r"[\s|;,]+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")


class Item(NamedTuple):
    """What rows have in common who consent to the same: it is checked against the notice once."""

    recipient: str
    purpose: str
    fields: int
    notice_sha256: str
    language: str


class SheetRow(NamedTuple):
    """A row that can be read: the line it begins on, the person as a keyed pseudonym, and what it states."""

    line: int
    pseudonym: str
    item: Item
    given_at: int
    expires_at: int
    staff: str
    store: str
    evidence_sha256: str


Cells = Mapping[str, str]
Read = SheetRow | RefusedRow


class Sheet:
    """Reads the rows of one batch. `pseudonym` turns a subject, as the dataset reads it, into the keyed one."""

    def __init__(
        self, dataset: Dataset, evidence: Mapping[str, str], now_s: int, pseudonym: Callable[[str], str]
    ) -> None:
        self._dataset = dataset
        self._evidence = evidence
        self._now_s = now_s
        self._pseudonym = pseudonym
        self._header: list[str] = []
        self._delimiter = ","
        self._items: dict[tuple[str, ...], Item] = {}

    def read(self, blocks: Iterable[bytes]) -> Iterator[Read]:
        """Every row in order. `Invalid` where the sheet as a whole cannot be read."""
        count = 0
        for row in self._rows(blocks):
            if not self._header:
                self._use_header(row)
                continue
            count += 1
            if count > MOST_ROWS:
                raise TooLarge("too_many_rows", f"A batch has at most {MOST_ROWS} rows.", field=f"line {row.number}")
            yield self._row(row)
        if not self._header:
            raise Invalid("no_header", "The sheet has no header row.", field="line 1")

    def _rows(self, blocks: Iterable[bytes]) -> Iterator[Line]:
        rows: QuotedRows | None = None
        count = 0
        for lines in _lines(blocks):
            count += len(lines)
            if count > MOST_LINES:
                raise TooLarge("too_many_rows", f"A sheet has at most {MOST_LINES} lines.", field=SHEET)
            first = next((line.text for line in lines if line.text), None)
            if rows is None and first is not None:
                self._delimiter = sniffed_delimiter(first)
                rows = QuotedRows(self._delimiter)
            if rows is not None:
                yield from rows.feed(lines)
        if rows is not None:
            yield from rows.finish()

    def _use_header(self, row: Line) -> None:
        names = [_plain(cell).lower() for cell in cells_of(row.text, self._delimiter)] if not row.refused else []
        if len(names) != len(set(names)) or not set(COLUMNS) - _OPTIONAL <= set(names) <= set(COLUMNS):
            raise Invalid(
                "invalid_header",
                f"The columns are {', '.join(COLUMNS)}, each once; {' and '.join(sorted(_OPTIONAL))} may be left out.",
                field=f"line {row.number}",
            )
        self._header = names

    def _row(self, row: Line) -> Read:
        if row.refused:
            return RefusedRow(row.number, "", row.refused)
        cells = cells_of(row.text, self._delimiter)
        if len(cells) != len(self._header):
            return RefusedRow(row.number, "", "wrong_number_of_cells")
        try:
            return self._stated(row.number, dict(zip(self._header, cells, strict=True)))
        except RowRefused as refused:
            return RefusedRow(row.number, refused.column, refused.code)

    def _stated(self, line: int, cells: Cells) -> SheetRow:
        item = self._item(cells)
        given_at = _instant(cells["given"], "given")
        if given_at > self._now_s:
            raise RowRefused("given", "future_date")
        stated = cells.get("expires", "")
        expires_at = _instant(stated, "expires") if stated else given_at + DEFAULT_TERM_S
        if not given_at < expires_at <= given_at + LONGEST_TERM_S:
            raise RowRefused("expires", "invalid_expiry")
        if expires_at <= self._now_s:
            raise RowRefused("expires", "expired")
        evidence = self._evidence.get(normalised(cells["evidence"], "NFC").removeprefix("./"))
        if evidence is None:
            raise RowRefused("evidence", "evidence_not_listed" if cells["evidence"] else "missing_value")
        return SheetRow(
            line,
            self._subject(cells["subject"]),
            item,
            given_at,
            expires_at,
            _matching(cells, "staff", _NUMBER, "invalid_name"),
            _matching(cells, "store", _NUMBER, "invalid_name"),
            evidence,
        )

    def _subject(self, cell: str) -> str:
        if not cell.strip():
            raise RowRefused("subject", "missing_value")
        try:
            if len(cell) > LONGEST_SUBJECT:
                raise Invalid("invalid_subject", "The subject is too long.")
            return self._pseudonym(self._dataset.subject_of(cell))
        except Invalid:
            raise RowRefused("subject", "invalid_subject") from None

    def _item(self, cells: Cells) -> Item:
        """The item that these cells name; most rows of a batch name the same."""
        key = (cells["recipient"], cells["purpose"], cells["fields"], cells["notice_sha256"], cells.get("language", ""))
        known = self._items.get(key)
        if known is None:
            language = _plain(cells.get("language", ""))
            if language not in _LANGUAGES:
                raise RowRefused("language", "invalid_language")
            known = self._items[key] = Item(
                _matching(cells, "recipient", _MEMBER, "recipient_not_named"),
                _matching(cells, "purpose", _PURPOSE, "invalid_purpose"),
                self._fields(cells["fields"]),
                _matching(cells, "notice_sha256", _SHA256, "invalid_notice"),
                _LANGUAGES[language],
            )
        return known

    def _fields(self, cell: str) -> int:
        names = [name for name in _SEPARATORS.split(_plain(cell)) if name]
        if not names:
            raise RowRefused("fields", "missing_value")
        if len(names) != len(set(names)) or not set(names) <= self._dataset.fields.keys():
            raise RowRefused("fields", "unknown_field")
        return sum(self._dataset.bit(name) for name in names)


def _lines(blocks: Iterable[bytes]) -> Iterator[list[Line]]:
    splitter = LineSplitter()
    for block in blocks:
        yield splitter.feed(block)
    yield splitter.finish()


def _plain(cell: str) -> str:
    return normalised(cell).strip()


def _matching(cells: Cells, name: str, pattern: re.Pattern[str], code: str) -> str:
    value = _plain(cells[name])
    if not value:
        raise RowRefused(name, "missing_value")
    if not pattern.fullmatch(value):
        raise RowRefused(name, code)
    return value


def _instant(cell: str, column: str) -> int:
    at = _epoch_seconds(cell)
    if at is None:
        raise RowRefused(column, "invalid_date" if cell.strip() else "missing_value")
    return at


@lru_cache(maxsize=4096)
def _epoch_seconds(cell: str) -> int | None:
    text = _plain(cell).replace("/", "-")
    try:
        if _DAY.fullmatch(text):
            return int(datetime.fromisoformat(text).replace(tzinfo=time_zone(RULEBOOK_ZONE)).timestamp())
        if _INSTANT.fullmatch(text):
            return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        pass
    return None

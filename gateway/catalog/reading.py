"""Rows of an upload: parsed, checked against the schema, encoded for sealing. Runs in a worker thread."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gateway.canonical import parse
from gateway.catalog.columns import CellRefused, Column
from gateway.catalog.lines import Line, LineSplitter, QuotedRows, cells_of, sniffed_delimiter
from gateway.catalog.schema import Schema
from gateway.errors import Invalid

DELIMITERS = (",", ";", "\t")


class Row(NamedTuple):
    """A row that the schema accepts: the line it begins on, and field name -> JSON bytes."""

    line: int
    values: dict[str, bytes]


class RefusedRow(NamedTuple):
    """A row that is kept out: the line it begins on, the field ('' where none is to blame) and the reason's code."""

    line: int
    field: str
    code: str


@dataclass(slots=True)
class Batch:
    """What some bytes held."""

    rows: list[Row] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)


class Reader(Protocol):
    """Reads one upload. `Invalid` means that the upload as a whole cannot be read."""

    def feed(self, data: bytes) -> Batch: ...

    def finish(self) -> Batch: ...


def reader_of(media_type: str, schema: Schema, delimiter: str | None, null: str | None) -> Reader:
    """The reader for `text/csv` or `application/x-ndjson`; `Invalid` for anything else."""
    if delimiter is not None and delimiter not in DELIMITERS:
        raise Invalid("invalid_delimiter", "The delimiter is a comma, a semicolon or a tab.", field="delimiter")
    if media_type == "text/csv":
        return CsvReader(schema, delimiter, null)
    if media_type == "application/x-ndjson":
        return NdjsonReader(schema)
    raise Invalid(
        "unsupported_media_type",
        "An upload is CSV or NDJSON.",
        field="Content-Type",
        remedy="Send text/csv or application/x-ndjson.",
    )


class CsvReader:
    """Reads CSV whose first row names the columns. An empty cell is null, and so is the text `null` if given."""

    def __init__(self, schema: Schema, delimiter: str | None, null: str | None = None) -> None:
        self._schema = schema
        self._delimiter = delimiter
        self._null = null
        self._splitter = LineSplitter()
        self._rows: QuotedRows | None = None
        self._encoders: list[tuple[str, dict[str, bytes], Any]] = []

    def feed(self, data: bytes) -> Batch:
        """The rows that `data` completes."""
        return self._batch(self._splitter.feed(data), last=False)

    def finish(self) -> Batch:
        """The rows that the end completes."""
        batch = self._batch(self._splitter.finish(), last=True)
        if not self._encoders:
            raise Invalid("no_header", "The file has no header row.", field="line 1")
        return batch

    def _batch(self, lines: list[Line], *, last: bool) -> Batch:
        batch = Batch()
        if self._rows is None:
            first = next((line.text for line in lines if line.text), None)
            if first is None:
                return batch
            self._delimiter = self._delimiter or sniffed_delimiter(first)
            self._rows = QuotedRows(self._delimiter)
        self._read(self._rows.feed(lines), batch)
        if last:
            self._read(self._rows.finish(), batch)
        return batch

    def _read(self, rows: Iterable[Line], batch: Batch) -> None:
        for row in rows:
            if not self._encoders:
                self._use_header(row)
            elif row.refused:
                batch.refused.append(RefusedRow(row.number, "", row.refused))
            else:
                self._read_row(row, batch)

    def _read_row(self, row: Line, batch: Batch) -> None:
        assert self._delimiter is not None
        cells = cells_of(row.text, self._delimiter)
        encoders = self._encoders
        if len(cells) != len(encoders):
            batch.refused.append(RefusedRow(row.number, "", "wrong_number_of_cells"))
            return
        values = {}
        for (name, remembered, of_text), cell in zip(encoders, cells, strict=True):
            value = remembered.get(cell)
            if value is None:
                try:
                    value = of_text(cell)
                except CellRefused as refused:
                    batch.refused.append(RefusedRow(row.number, name, refused.code))
                    return
            values[name] = value
        batch.rows.append(Row(row.number, values))

    def _use_header(self, row: Line) -> None:
        assert self._delimiter is not None
        if row.refused:
            raise Invalid("invalid_header", "The header row cannot be read.", field=f"line {row.number}")
        named = {field.column: field for field in self._schema.fields.values()}
        seen: set[str] = set()
        for position, column in enumerate(cells_of(row.text, self._delimiter), 1):
            if column not in named:
                raise Invalid(
                    "unknown_column",
                    "The dataset has no such column.",
                    field=f"column {position}",
                    remedy="Name the columns as the dataset's schema does (x-column, else the field's name).",
                )
            if column in seen:
                raise Invalid("duplicate_column", "The header names a column twice.", field=column)
            seen.add(column)
            field_of = named[column]
            encoder = Column(field_of, null=self._null)
            self._encoders.append((field_of.name, encoder.remembered, encoder.of_text))
        for field_of in self._schema.fields.values():
            if field_of.required and field_of.column not in seen:
                raise Invalid("missing_column", "The header lacks a required column.", field=field_of.column)


class NdjsonReader:
    """Reads one JSON object a line. An absent field stays absent; an unknown one refuses the row."""

    def __init__(self, schema: Schema) -> None:
        self._splitter = LineSplitter()
        self._begun = False
        self._columns = {name: Column(field_of).of_value for name, field_of in schema.fields.items()}
        self._required = [field_of.name for field_of in schema.fields.values() if field_of.required]

    def feed(self, data: bytes) -> Batch:
        """The rows that `data` completes."""
        return self._batch(self._splitter.feed(data))

    def finish(self) -> Batch:
        """The rows that the end completes. `Invalid` for no byte at all: more likely a file that went missing."""
        batch = self._batch(self._splitter.finish())
        if not self._begun:
            remedy = "Send one row a line; an empty line alone says that there are none."
            raise Invalid("empty_file", "The file is empty.", field="line 1", remedy=remedy)
        return batch

    def _batch(self, lines: list[Line]) -> Batch:
        self._begun = self._begun or bool(lines)
        batch = Batch()
        for line in lines:
            if line.refused:
                batch.refused.append(RefusedRow(line.number, "", line.refused))
            elif line.text.strip(" \t"):
                self._read(line, batch)
        return batch

    def _read(self, line: Line, batch: Batch) -> None:
        name = ""
        try:
            given = parse(line.text.encode())
            if not isinstance(given, dict):
                raise CellRefused("invalid_row")
            values: dict[str, bytes] = {}
            if not given or not given.keys() <= self._columns.keys():
                raise CellRefused("unknown_field" if given else "invalid_row")
            for name in self._required:
                if name not in given:
                    raise CellRefused("missing_field")
            for name, value in given.items():
                values[name] = self._columns[name](value)
        except Invalid:
            batch.refused.append(RefusedRow(line.number, "", "invalid_row"))
        except CellRefused as refused:
            batch.refused.append(RefusedRow(line.number, name, refused.code))
        else:
            batch.rows.append(Row(line.number, values))


def text_of(value: bytes) -> str | None:
    """The text that an encoded value is indexed by: a string's own, a number's digits, None for null."""
    if value.startswith(b'"'):
        text: str = json.loads(value)
        return text
    return None if value == b"null" else value.decode()

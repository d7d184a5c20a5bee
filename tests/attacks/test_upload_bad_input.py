"""Hostile and broken files: named by line, never more than refused."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from gateway.catalog.declaration import declare
from gateway.catalog.lines import LONGEST_ROW
from gateway.catalog.reading import Batch, reader_of
from gateway.errors import Invalid

FIELDS = {
    "name": {"type": "string", "x-class": "open", "x-grade": 1},
    "seats": {"type": ["integer", "null"], "x-class": "open", "x-grade": 1},
    "price": {"type": ["number", "null"], "x-class": "open", "x-grade": 1, "minimum": 0, "maximum": 9},
}
CSV, NDJSON = "text/csv", "application/x-ndjson"


def read(content: bytes, media_type: str = CSV, *, step: int = 65_536, **asked: Any) -> Batch:
    schema = declare({"type": "object", "x-kind": "market", "properties": FIELDS})
    reader = reader_of(media_type, schema, asked.get("delimiter"), asked.get("null"))
    whole = Batch()
    for batch in [*(reader.feed(content[at : at + step]) for at in range(0, len(content), step)), reader.finish()]:
        whole.rows += batch.rows
        whole.refused += batch.refused
    return whole


def codes(batch: Batch) -> list[tuple[int, str, str]]:
    return [tuple(row) for row in batch.refused]  # type: ignore[misc]


def test_a_byte_order_mark_and_mixed_line_ends_are_read_past() -> None:
    batch = read(b"\xef\xbb\xbfname;seats\r\na;1\nb;2\rc;3\r\n", step=1)
    assert [(row.line, row.values["name"]) for row in batch.rows] == [(2, b'"a"'), (3, b'"b"'), (4, b'"c"')]


def test_line_ends_inside_quotes_are_kept_and_counted() -> None:
    batch = read(b'name,seats\n"a\r\nb",1\nc,x\n')
    assert batch.rows[0].values["name"] == b'"a\\r\\nb"'
    assert codes(batch) == [(4, "seats", "wrong_type")]


def test_broken_quoting_refuses_its_own_line_and_reading_goes_on() -> None:
    batch = read(b'name,seats\n"a"b,1\nc,1\nd"e,1\n"f,1\ng,1\n')
    assert codes(batch) == [(2, "", "broken_quoting"), (4, "", "broken_quoting"), (5, "", "broken_quoting")]
    assert [row.values["name"] for row in batch.rows] == [b'"c"', b'"g"']


@pytest.mark.parametrize("cell", [b"x" * 10_000_000, b'"' + b"x" * 10_000_000 + b'"', b'"' + b"x\n" * 1_000_000 + b'"'])
def test_a_cell_of_10_mb_is_refused_by_its_line_in_bounded_memory(cell: bytes) -> None:
    text = b"name,seats\n" + cell + b",1\nb,2\n"
    tracemalloc.start()
    batch = read(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes(batch) == [(2, "", "cell_too_large")]
    assert [row.values["name"] for row in batch.rows] == [b'"b"']
    assert peak < 8_000_000


@pytest.mark.parametrize("step", [1 << 16, 1 << 18, 1 << 21])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_row_may_have_1_mib_of_utf_8_wherever_it_stands_in_the_file(step: int, end: bytes) -> None:
    fits, too_long = "中" * 349_524 + "xy,1", "中" * 349_524 + "xyz,1"
    assert len(fits.encode()) == LONGEST_ROW
    for before in (0, 1):
        rows = ["a,1"] * before + [fits, too_long, "b,2"]
        batch = read(b"name,seats" + end + end.join(row.encode() for row in rows), step=step)
        assert [row[2] for row in codes(batch)] == ["cell_too_large"]
        assert len(batch.rows) == before + 2


def test_a_long_quote_that_never_closes_ends_the_upload_by_name() -> None:
    with pytest.raises(Invalid, match="broken_quoting") as refused:
        read(b'name,seats\n"' + b"x\n" * 1_000_000)
    assert refused.value.field == "line 2"


def test_invalid_utf8_refuses_its_own_line() -> None:
    batch = read(b"name,seats\na\xff,1\nb,1\n\xed\xa0\x80,1\n")
    assert codes(batch) == [(2, "", "invalid_utf8"), (4, "", "invalid_utf8")]
    assert len(batch.rows) == 1


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"", "no_header"),
        (b"name,colour\n", "unknown_column"),
        (b"name,name\n", "duplicate_column"),
        (b"seats\n", "missing_column"),
        (b"\xff,seats\n", "invalid_header"),
        (b'"name,seats\n', "invalid_header"),
    ],
)
def test_a_header_that_does_not_fit_refuses_the_upload(header: bytes, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        read(header)


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        (b'{"name":"a","name":"b"}', "", "invalid_row"),
        (b"[" * 100_000, "", "invalid_row"),
        (b'{"name":' + b'{"a":' * 500 + b"1" + b"}" * 501, "name", "wrong_type"),
        (b'{"name":"a","colour":1}', "", "unknown_field"),
        (b'{"seats":1}', "name", "missing_field"),
        (b'{"name":7}', "name", "wrong_type"),
        (b'{"name":null}', "name", "missing_value"),
        (b'{"name":"a","seats":1e999}', "seats", "wrong_type"),
        (b'{"name":"a","seats":NaN}', "", "invalid_row"),
        (b'{"name":"a","seats":true}', "seats", "wrong_type"),
        (b'{"name":"a","seats":' + b"9" * 5000 + b"}", "", "invalid_row"),
        (b'{"name":"\\ud800"}', "name", "invalid_text"),
        (b'{"name":"\xff"}', "", "invalid_utf8"),
        (b'{"name":"' + b"x" * (1 << 20) + b'"}', "", "cell_too_large"),
        (b"{}", "", "invalid_row"),
        (b"7", "", "invalid_row"),
    ],
)
def test_a_bad_json_line_is_refused_alone(line: bytes, field: str, code: str) -> None:
    batch = read(line + b'\n\n{"name":"ok"}', NDJSON)
    assert codes(batch) == [(1, field, code)]
    assert [row.line for row in batch.rows] == [3]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_empty_is_refused_in_either_form_for_it_may_have_gone_missing(content: bytes) -> None:
    for media_type, code in ((CSV, "no_header"), (NDJSON, "empty_file")):
        with pytest.raises(Invalid, match=code):
            read(content, media_type)


@pytest.mark.parametrize(("content", "media_type"), [(b"name,seats\n", CSV), (b"\n", NDJSON), (b"\r\n", NDJSON)])
def test_that_there_are_no_rows_can_be_said(content: bytes, media_type: str) -> None:
    assert (read(content, media_type).rows, codes(read(content, media_type))) == ([], [])


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("seats", str(2**63), "wrong_type"),
        ("seats", str(-(2**63) - 1), "wrong_type"),
        ("price", "1e400", "wrong_type"),
        ("price", "9" * 400, "wrong_type"),
        ("price", "9.5", "too_great"),
        ("price", "-0.5", "too_small"),
    ],
)
def test_a_number_that_the_field_cannot_hold_is_refused_in_either_form(field: str, value: str, code: str) -> None:
    for content, media_type, line in (
        (f"name,{field}\na,{value}\nb,1\n", CSV, 2),
        (f'{{"name":"a","{field}":{value}}}\n{{"name":"b"}}', NDJSON, 1),
    ):
        batch = read(content.encode(), media_type)
        assert (codes(batch), len(batch.rows)) == ([(line, field, code)], 1)


def test_only_the_named_null_text_is_null() -> None:
    batch = read(b"name,seats\na,NA\nb,\nNA,1\n", null="NA")
    assert [row.values["seats"] for row in batch.rows] == [b"null", b"null"]
    assert codes(batch) == [(4, "name", "missing_value")]
    assert codes(read(b"name,seats\na,NA\n")) == [(2, "seats", "wrong_type")]


@pytest.mark.parametrize("media_type", ["", "application/json", "text/html"])
def test_other_media_types_are_refused(media_type: str) -> None:
    with pytest.raises(Invalid, match="unsupported_media_type"):
        read(b"", media_type)

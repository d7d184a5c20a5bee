from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pytest

from gateway.catalog.dataset import Dataset
from gateway.catalog.declaration import declare
from gateway.consents.offline import sheet as sheets
from gateway.consents.offline.checking import sorted_out
from gateway.consents.offline.reasons import REASONS, RefusedRow
from gateway.consents.offline.sheet import COLUMNS, Sheet, SheetRow
from gateway.errors import Invalid, TooLarge
from tests.alliance import PERSONAL_SCHEMA
from tests.offline.packing import SCAN_SHA256, sheet

HOTEL = "a" * 32
NOTICE = "b" * 64
NOW = int(datetime.fromisoformat("2026-06-01T00:00:00+08:00").timestamp())
DAY = int(datetime.fromisoformat("2026-03-05T00:00:00+08:00").timestamp())
ROW = {
    "subject": "C00001",
    "recipient": HOTEL,
    "purpose": "customer_referral",
    "fields": "name phone",
    "notice_sha256": NOTICE,
    "given": "2026-03-05",
    "staff": "S-17",
    "store": "store.3",
    "expires": "",
    "evidence": "scans/1.pdf",
    "language": "",
}
DATASET = Dataset(
    no=1,
    id="d" * 32,
    alliance="e" * 32,
    owner="f" * 32,
    name="customers",
    version=1,
    created_at=0,
    schema=declare(PERSONAL_SCHEMA),
)


def read(content: bytes, pieces: int = 1 << 16) -> list[SheetRow | RefusedRow]:
    blocks = [content[at : at + pieces] for at in range(0, len(content), pieces)]
    return list(Sheet(DATASET, {"scans/1.pdf": SCAN_SHA256}, NOW, lambda text: f"keyed {text}").read(blocks))


def only(**over: str) -> SheetRow | RefusedRow:
    (row,) = read(sheet([ROW | over]))
    return row


def good(**over: str) -> SheetRow:
    row = only(**over)
    assert isinstance(row, SheetRow), row
    return row


def test_a_row_says_who_consents_to_what_from_when() -> None:
    row = good()
    assert row.line == 2
    assert row.pseudonym == "keyed C00001"
    assert (row.item.recipient, row.item.purpose, row.item.language) == (HOTEL, "customer_referral", "zh-CN")
    assert row.item.fields == DATASET.bit("name") | DATASET.bit("phone")
    assert (row.given_at, row.expires_at) == (DAY, DAY + 365 * 24 * 3600)
    assert (row.staff, row.store, row.evidence_sha256) == ("S-17", "store.3", SCAN_SHA256)


def test_a_day_is_its_first_second_in_china_and_an_instant_is_itself() -> None:
    assert good(given="2026/03/05").given_at == DAY
    assert good(given="2026-03-05T08:00:00Z").given_at == DAY + 16 * 3600


def test_full_width_digits_read_as_the_plain_ones() -> None:
    wide = "２０２６－０３－０５"
    assert good(given=wide).given_at == DAY
    assert good(staff="Ｓ-１７").staff == "S-17"


@pytest.mark.parametrize("pieces", [1, 7, 1 << 16])
@pytest.mark.parametrize("ends", [("\r\n", "\n"), ("\r", "\r\n"), ("\n", "\r")])
def test_mixed_line_ends_and_a_byte_order_mark_are_read(ends: tuple[str, str], pieces: int) -> None:
    header, *rows = sheet([ROW, ROW | {"subject": "C00002"}]).decode().splitlines()
    text = "\ufeff" + header + ends[0] + rows[0] + ends[1] + rows[1]
    found = read(text.encode(), pieces)
    assert [row.pseudonym for row in found if isinstance(row, SheetRow)] == ["keyed C00001", "keyed C00002"]


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
def test_empty_lines_before_the_header_hide_no_delimiter(delimiter: bytes) -> None:
    (row,) = read(b"\r\n\n" + sheet([ROW]).replace(b",", delimiter))
    assert isinstance(row, SheetRow)
    assert row.line == 4


@pytest.mark.parametrize("pieces", [1, 7, 1 << 16])
def test_a_quoted_cell_that_holds_a_line_end_is_one_cell_wherever_a_block_ends(pieces: int) -> None:
    first, last = read(sheet([ROW | {"fields": '"name\nphone"'}, ROW]), pieces)
    assert isinstance(first, SheetRow)
    assert isinstance(last, SheetRow)
    assert (first.item, first.line, last.line) == (last.item, 2, 4)


def test_columns_come_in_any_order_and_two_may_be_left_out() -> None:
    names = [name for name in reversed(COLUMNS) if name not in ("expires", "language")]
    (row,) = read(sheet([ROW], names))
    assert isinstance(row, SheetRow)


@pytest.mark.parametrize("header", [COLUMNS[1:], (*COLUMNS, "name"), (*COLUMNS, "store"), ("a",)])
def test_a_sheet_with_other_columns_is_refused_as_a_whole(header: Iterable[str]) -> None:
    with pytest.raises(Invalid, match="invalid_header"):
        read(sheet([ROW], header))


def test_an_empty_sheet_has_no_header() -> None:
    with pytest.raises(Invalid, match="no_header"):
        read(b"")


@pytest.mark.parametrize(
    ("over", "column", "code"),
    [
        ({"subject": " "}, "subject", "missing_value"),
        ({"subject": "x" * 2000}, "subject", "invalid_subject"),
        ({"recipient": ""}, "recipient", "missing_value"),
        ({"recipient": "partners"}, "recipient", "recipient_not_named"),
        ({"recipient": "合作伙伴"}, "recipient", "recipient_not_named"),
        ({"purpose": "Referral!"}, "purpose", "invalid_purpose"),
        ({"fields": ""}, "fields", "missing_value"),
        ({"fields": "name name"}, "fields", "unknown_field"),
        ({"fields": "name shoe_size"}, "fields", "unknown_field"),
        ({"notice_sha256": "v2"}, "notice_sha256", "invalid_notice"),
        ({"given": ""}, "given", "missing_value"),
        ({"given": "05.03.2026"}, "given", "invalid_date"),
        ({"given": "2026-02-30"}, "given", "invalid_date"),
        ({"given": "2026-06-02"}, "given", "future_date"),
        ({"given": "2026-06-01T00:00:01+08:00"}, "given", "future_date"),
        ({"given": "2025-01-01"}, "expires", "expired"),
        ({"expires": "2026-03-05"}, "expires", "invalid_expiry"),
        ({"expires": "2036-03-05"}, "expires", "invalid_expiry"),
        ({"staff": "Wang Wei"}, "staff", "invalid_name"),
        ({"store": ""}, "store", "missing_value"),
        ({"evidence": ""}, "evidence", "missing_value"),
        ({"evidence": "scans/2.pdf"}, "evidence", "evidence_not_listed"),
        ({"language": "fr"}, "language", "invalid_language"),
        ({"subject": 'a"b'}, "", "broken_quoting"),
        ({"subject": "a,b"}, "", "wrong_number_of_cells"),
    ],
)
def test_a_row_that_breaks_a_rule_stays_out_and_its_neighbours_come_in(
    over: dict[str, str], column: str, code: str
) -> None:
    first, bad, last = read(sheet([ROW, ROW | over, ROW]))
    assert bad == RefusedRow(3, column, code)
    assert isinstance(first, SheetRow)
    assert isinstance(last, SheetRow)


def test_a_row_that_is_not_utf_8_stays_out() -> None:
    (bad,) = read(sheet([ROW]).replace(b"C00001", b"C\xff"))
    assert bad == RefusedRow(2, "", "invalid_utf8")


def test_a_csv_bomb_of_one_endless_quote_is_refused_in_bounded_memory() -> None:
    bomb = sheet([]) + b'"' + b"x\n" * 20_000
    with pytest.raises(Invalid, match="broken_quoting"):
        read(bomb)


@pytest.mark.parametrize(("line", "field"), [(b"x\n", "line 100002"), (b"\n", "consents.csv")])
def test_a_csv_bomb_of_short_lines_is_refused_whether_or_not_they_are_rows(line: bytes, field: str) -> None:
    with pytest.raises(TooLarge, match="too_many_rows") as caught:
        read(sheet([]) + line * 400_000)
    assert caught.value.field == field


def test_a_sheet_of_too_many_rows_stops_at_the_first_that_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST_ROWS", 2)
    with pytest.raises(TooLarge, match="too_many_rows") as caught:
        read(sheet([ROW] * 3))
    assert caught.value.field == "line 4"


def test_the_newest_of_a_persons_rows_stays_and_of_equal_ones_the_first() -> None:
    days = ["2026-03-05", "2026-03-07", "2026-03-06", "2026-03-07"]
    rows, refused = sorted_out(
        read(sheet([ROW | {"given": day} for day in days])), frozenset([HOTEL]), lambda _item, _at: None
    )
    assert [row.line for row in rows] == [3]
    assert sorted(refused) == [RefusedRow(line, "", "duplicate") for line in (2, 4, 5)]


def test_other_persons_recipients_and_purposes_are_no_duplicates() -> None:
    others: list[dict[str, str]] = [{}, {"subject": "C00002"}, {"recipient": "c" * 32}, {"purpose": "other"}]
    rows, refused = sorted_out(
        read(sheet([ROW | over for over in others])), frozenset([HOTEL, "c" * 32]), lambda _item, _at: None
    )
    assert (len(rows), refused) == (4, [])


def test_an_unknown_recipient_and_a_notice_that_does_not_cover_it_stay_out() -> None:
    rows, refused = sorted_out(
        read(sheet([ROW, ROW | {"recipient": "c" * 32}])), frozenset([HOTEL]), lambda _item, _at: "unknown_notice"
    )
    assert (rows, [row.code for row in refused]) == ([], ["unknown_notice", "unknown_recipient"])
    assert all(row.code in REASONS for row in refused)

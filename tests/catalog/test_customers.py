"""What points at a person and what merely looks like it; real tables hold neither."""

from __future__ import annotations

import csv
import random
import zipfile
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from gateway.catalog.customers import CustomerRows, Customers
from gateway.catalog.declaration import declare
from gateway.catalog.identifying import CARD, EMAIL, PHONE, RESIDENT_ID, SUSPICIOUS, kind_of, may_be_chance
from gateway.catalog.reading import Row, reader_of
from gateway.catalog.schema import Schema
from gateway.demo.tables import table
from tests.beside import DATA, there


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("13800138000", PHONE),
        ("138 0013 8000", PHONE),
        ("+8613800138000", PHONE),
        ("0086-138-0013-8000", PHONE),
        ("call 13800138000 after six", PHONE),
        ("+44 7400 123456", PHONE),
        ("１３８００１３８０００", PHONE),
        ("138.0013.8000", PHONE),
        ("138\u00a00013\u00a08000", PHONE),
        ("138\u20110013\u20118000", PHONE),
        ("138\u200b0013\u200b8000", PHONE),
        ("13800138000.0", PHONE),
        ("13800138000.5", None),
        ("139.69171234", None),
        ("010-65001234", None),
        ("+44 20 7946 0018", None),
        ("12800138000", None),
        ("138001380001", None),
        ("4.13800138000", None),
        ("li.wei@example.org", EMAIL),
        ("<li.wei@example.org>", EMAIL),
        ("room @ sea", None),
        ("a@b", None),
        ("11010519491231002X", RESIDENT_ID),
        ("no 11010519491231002x.", RESIDENT_ID),
        ("110105194912310021", None),
        ("11010519491331002X", None),
        ("4111111111111111", CARD),
        ("4111 1111 1111 1111", CARD),
        ("6212345678901232", CARD),
        ("4111111111111112", None),
        ("2013-01-01T06:00:00Z", None),
        ("1357986420135", None),
        ("", None),
    ],
)
def test_a_text_is_known_by_its_own_rules(text: str, kind: str | None) -> None:
    assert kind_of(text) == kind
    assert kind is None or SUSPICIOUS.search(text.encode())


NUMBER = {"type": "integer", "x-class": "open", "x-grade": 1}


def schema_of(columns: Sequence[str]) -> Schema:
    open_text = {"type": ["string", "null"], "x-class": "open", "x-grade": 1}
    properties = {f"f_{n}": open_text | {"x-column": column} for n, column in enumerate(columns)}
    return declare({"type": "object", "x-kind": "market", "properties": properties})


def watched(content: bytes, delimiter: str = ",") -> list[Row]:
    """Every row of a table, all of whose columns are texts, once no customer was found in it."""
    head = content.partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    schema = schema_of(next(csv.reader([head], delimiter=delimiter)))
    reader, customers, rows = reader_of("text/csv", schema, None, None), Customers(schema), []
    for batch in (reader.feed(content), reader.finish()):
        customers.look(batch.rows)
        rows += batch.rows
    customers.conclude()
    return rows


@pytest.mark.parametrize("name", ["airline-loyalty.csv", "bank-marketing.csv", "online-retail.csv"])
def test_a_real_table_passes(name: str) -> None:
    assert len(watched(there(DATA / name).read_bytes(), ";" if name.startswith("bank") else ",")) > 4000


@pytest.mark.parametrize(("name", "rows"), [("flights.csv", 50_000), ("planes.csv", 3_322), ("airports.csv", 1_458)])
def test_a_table_of_the_demo_passes(name: str, rows: int) -> None:
    if name == "flights.csv":
        with zipfile.ZipFile(table("flights.csv.zip")) as archive:
            content = b"".join(archive.open(name).readlines()[: rows + 1])
    else:
        content = table(name).read_bytes()
    assert len(watched(content)) == rows


@pytest.mark.parametrize("digits", [10, 11, 12, 13, 14, 16, 18])
def test_numbers_of_any_length_are_no_customers_by_chance(digits: int) -> None:
    drawn = random.Random(digits)
    rows = [f"{drawn.randrange(10 ** (digits - 1), 10**digits)},lot {n}" for n in range(3000)]
    assert len(watched("\n".join(["number,lot", *rows]).encode())) == 3000


@pytest.mark.parametrize("letters", ["phone", "wx", "e-", "deadbeef "])
def test_letters_before_a_mobile_number_are_no_digest(letters: str) -> None:
    assert not may_be_chance(PHONE, f"{letters}13800138000")


@pytest.mark.parametrize("identifier", [lambda n: f"{n:064x}", lambda n: str(UUID(int=n % 2**128, version=4))])
def test_hexadecimal_identifiers_are_no_customers_by_chance(identifier: Callable[[int], str]) -> None:
    """1 in 300 SHA-256 digests, and 1 in 1,000 UUIDs, holds the digits of a mobile number."""
    drawn = random.Random(1)
    chosen = [one for _ in range(40_000) if kind_of(one := identifier(drawn.getrandbits(256))) == PHONE]
    assert len(chosen) > 20
    rows = [*(chosen * 6)[:150], *(identifier(drawn.getrandbits(256)) for _ in range(3000))]
    assert len(watched("\n".join(["id,lot", *(f"{row},x" for row in rows)]).encode())) == 3150


def test_mobile_numbers_in_hexadecimal_identifiers_are_found_where_they_are_many() -> None:
    rows = [f"ab-138{n:08}-{n % 5}" for n in range(100)]
    assert may_be_chance(PHONE, rows[0])
    with pytest.raises(CustomerRows, match="mobile number in 100 rows"):
        watched("\n".join(["id,lot", *(f"{row},x" for row in rows)]).encode())


def test_a_long_text_of_digits_is_read_once() -> None:
    """A megabyte: read again from every digit, it would take hours."""
    assert not may_be_chance(PHONE, f"{'7' * 1_000_000}; 13800138000")


@pytest.mark.parametrize(
    ("among", "hidden", "refused"), [(1000, 9, False), (1000, 11, True), (40_000, 99, False), (40_000, 100, True)]
)
def test_marks_among_other_texts_count_by_their_share_or_their_number(among: int, hidden: int, refused: bool) -> None:
    rows = [f"note {n}, ask +86138{n:08}" if n < hidden else f"note {n}" for n in range(among)]
    content = "\n".join(["note;x", *[f"{row};" for row in rows]]).encode()
    if not refused:
        assert len(watched(content, ";")) == among
        return
    with pytest.raises(CustomerRows) as found:
        watched(content, ";")
    assert found.value.columns[0].lines == list(range(2, min(hidden, 20) + 2))


def test_mobile_numbers_that_a_table_program_made_decimals_are_found() -> None:
    """A column with a gap becomes one of decimals in many programs, and 13800138000 becomes 13800138000.0."""
    decimal = {"type": ["number", "null"], "x-class": "open", "x-grade": 1}
    schema = declare({"type": "object", "x-kind": "market", "properties": {"reference": decimal}})
    customers = Customers(schema)
    customers.look([Row(line, {"reference": b"138%08d.0" % line}) for line in range(2, 40)])
    with pytest.raises(CustomerRows, match="mobile number in 38 rows"):
        customers.conclude()


def test_what_is_remembered_of_a_column_is_bounded() -> None:
    schema = declare({"type": "object", "x-kind": "market", "properties": {"n": NUMBER}})
    customers = Customers(schema)
    for batch in range(10):
        customers.look([Row(n, {"n": b"138%08d" % (batch * 3000 + n)}) for n in range(3000)])
    (column,) = customers._columns
    assert (column.rows, len(column.clues) < 10_000) == (30_000, True)


def test_what_listed_values_and_short_numbers_cannot_hold_is_not_looked_for() -> None:
    schema = declare(
        {
            "type": "object",
            "x-kind": "market",
            "properties": {
                "a": {"type": "string", "enum": ["13800138000"], "x-class": "open", "x-grade": 1},
                "b": {"type": "integer", "maximum": 9_999_999_999, "x-class": "open", "x-grade": 1},
                "c": {"type": "integer", "x-class": "open", "x-grade": 1},
            },
        }
    )
    customers = Customers(schema)
    listed = [Row(line, {"a": b'"13800138000"', "b": b"1380013800", "c": b"7"}) for line in range(2, 9)]
    customers.look(listed)
    customers.conclude()
    customers.look([Row(9, {"a": b'"13800138000"', "b": b"1", "c": b"13800138000"})] * 3)
    with pytest.raises(CustomerRows, match="Column c"):
        customers.conclude()

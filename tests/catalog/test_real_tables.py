"""Tables as companies export them: every row is either accepted or refused for a stated reason."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from gateway.catalog.declaration import declare
from gateway.catalog.reading import reader_of
from tests.beside import DATA, there

INTEGERS = {
    *("Salary", "Enrollment Year", "Enrollment Month", "Cancellation Year", "Cancellation Month", "Quantity"),
    *("age", "balance", "day", "duration", "campaign", "pdays", "previous"),
}
NUMBERS = {"CLV", "UnitPrice", "CustomerID"}


def properties_for(columns: list[str]) -> dict[str, Any]:
    return {
        "f_" + "".join(c if c.isalnum() else "_" for c in column.lower()): {
            "type": [("integer" if column in INTEGERS else "number" if column in NUMBERS else "string"), "null"],
            "x-class": "open",
            "x-grade": 1,
            "x-column": column,
        }
        for column in columns
    }


@pytest.mark.parametrize(
    ("name", "rows", "column", "minimum"),
    [
        ("airline-loyalty.csv", 16_737, "Salary", 0),
        ("bank-marketing.csv", 11_435, "balance", 0),
        ("online-retail.csv", 4_792, "Quantity", 0),
    ],
)
def test_every_row_of_a_real_table_is_accepted_or_refused_by_name(
    name: str, rows: int, column: str, minimum: int
) -> None:
    content = there(DATA / name).read_bytes()
    delimiter = ";" if name.startswith("bank") else ","
    table = list(csv.reader(content.decode("utf-8-sig").splitlines(), delimiter=delimiter))
    columns = table[0]
    below = sum(1 for row in table[1:] if row[columns.index(column)] and int(row[columns.index(column)]) < minimum)
    properties = properties_for(columns)
    next(p for p in properties.values() if p["x-column"] == column)["minimum"] = minimum
    reader = reader_of(
        "text/csv", declare({"type": "object", "x-kind": "product", "properties": properties}), None, None
    )
    batches = [reader.feed(content[at : at + 9_999]) for at in range(0, len(content), 9_999)] + [reader.finish()]
    refused = [one for batch in batches for one in batch.refused]
    assert sum(len(batch.rows) for batch in batches) + len(refused) == rows
    assert {one.code for one in refused} == {"too_small"}
    assert len(refused) == below > 0

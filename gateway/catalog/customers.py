"""Customer rows in a market or product upload (clause 4.1.1): found while it streams, and kept out.

Every text and every number of every row is looked at, each distinct value of a batch once; nothing is sampled. An
upload is quarantined as soon as a column holds one resident identity number, `MANY` other clues to persons, or one
where the column's name says how somebody is reached; and at its end, where such clues stand in `FEW` rows and `SHARE`
of a column's values. Bare digits that look like a mobile number, hexadecimal identifiers that hold one, and cards
count where they are `MOST_OF_IT`, for some of all long numbers do. Less than that (a hotline in a description)
passes. Names, postal addresses and customer numbers look like any other text and are not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.catalog.identifying import RESIDENT_ID, SUSPICIOUS, kind_of, may_be_chance
from gateway.catalog.naming import names_a_contact
from gateway.catalog.reading import Row, text_of
from gateway.catalog.schema import Field, Schema
from gateway.errors import Invalid

CODE = "CLASS_NOT_SHAREABLE"
CLAUSE = "4.1.1"
MANY = 100
FEW = 3
SHARE = 0.01
MOST_OF_IT = 0.2
LINES_NAMED = 20
_REMEMBERED = 4096
_LOOKED_AT = ("string", "integer", "number")
_NULL = b"null"


class CustomerRows(Invalid):
    """A market or product upload holds customers; nothing of it is published, and no value is ever quoted."""

    def __init__(self, kind: str, columns: Sequence[Column]) -> None:
        first = columns[0]
        lines = ", ".join(map(str, first.lines))
        more = " and others" if first.rows > len(first.lines) else ""
        super().__init__(
            CODE,
            f"Column {first.name} holds a {first.kind} in {first.rows} rows (lines {lines}{more}): a {kind} dataset "
            f"holds no customers (clause {CLAUSE}).",
            field=f"column {first.name}",
            remedy="Leave the column out, or declare the dataset personal and record its people's consents.",
        )
        self.columns = columns


@dataclass(slots=True)
class Column:
    """What was found in one column: the kind, how many rows of how many values, the first lines."""

    name: str
    telling: bool
    kind: str = ""
    rows: int = 0
    values: int = 0
    certain: int = 0
    lines: list[int] = field(default_factory=list)
    clues: dict[bytes, bool] = field(default_factory=dict)
    """Values found before, and whether each may be chance; like the harmless ones, about as many as are remembered."""
    harmless: set[bytes] = field(default_factory=set)

    def look(self, rows: Sequence[Row]) -> None:
        """Look at this column's values of a batch."""
        cells = [row.values.get(self.name, _NULL) for row in rows]
        self.values += len(cells) - cells.count(_NULL)
        fresh = set(cells).difference(self.harmless, self.clues)
        found = self._examine(fresh) if fresh and SUSPICIOUS.search(b"\n".join(fresh)) else {}
        if len(self.harmless) < _REMEMBERED:
            self.harmless |= fresh.difference(found)
        clues = self.clues | found
        if len(self.clues) < _REMEMBERED:
            self.clues = clues
        if clues:
            self._count((row.line, clues[cell]) for row, cell in zip(rows, cells, strict=True) if cell in clues)

    def _examine(self, values: Iterable[bytes]) -> dict[bytes, bool]:
        """The values that are a clue to a person, and whether each may be chance."""
        found = {}
        for value in filter(SUSPICIOUS.search, values):
            text = text_of(value) or ""
            kind = kind_of(text)
            if kind is not None:
                found[value] = may_be_chance(kind, text)
                self.kind = kind if self.kind != RESIDENT_ID else self.kind
        return found

    def _count(self, found: Iterable[tuple[int, bool]]) -> None:
        for line, chance in found:
            self.rows += 1
            self.certain += not chance
            if len(self.lines) < LINES_NAMED:
                self.lines.append(line)

    @property
    def is_certain(self) -> bool:
        """Whether nothing that follows can clear the column."""
        return self.kind == RESIDENT_ID or self.certain >= MANY or (self.telling and self.rows > 0)

    @property
    def is_about_people(self) -> bool:
        """Whether the column, all of it seen, holds customers."""
        values = max(self.values, 1)
        often = self.certain >= FEW and self.certain / values >= SHARE
        return self.is_certain or often or self.rows / values >= MOST_OF_IT

    def describe(self) -> dict[str, object]:
        """What the report and the entry say of it."""
        return {"column": self.name, "holds": self.kind, "rows": self.rows, "lines": self.lines}


class Customers:
    """Watches one upload. A personal dataset is watched for nothing."""

    def __init__(self, schema: Schema) -> None:
        self._kind = schema.kind
        watched = [] if schema.kind == "personal" else [one for one in schema.fields.values() if _may_hold(one)]
        self._columns = [Column(one.name, names_a_contact(one)) for one in watched]

    def look(self, rows: Sequence[Row]) -> None:
        """Look at a batch; `CustomerRows` as soon as it is certain."""
        for column in self._columns:
            column.look(rows)
        self._refuse([one for one in self._columns if one.is_certain])

    def conclude(self) -> None:
        """Judge the upload, all of it seen; `CustomerRows` where a column holds customers."""
        self._refuse([one for one in self._columns if one.is_about_people])

    def _refuse(self, columns: Sequence[Column]) -> None:
        if columns:
            raise CustomerRows(self._kind, columns)


def _may_hold(one: Field) -> bool:
    """Dates, booleans and listed values point at nobody; what a number's bounds exclude neither."""
    if one.type not in _LOOKED_AT or "enum" in one.keywords:
        return False
    longest = one.keywords.get("maxLength", one.keywords.get("maximum"))
    if one.type != "string":
        return longest is None or len(str(int(longest))) >= _SHORTEST_DIGITS
    return longest is None or longest >= _SHORTEST_TEXT


_SHORTEST_DIGITS = 11
_SHORTEST_TEXT = 6

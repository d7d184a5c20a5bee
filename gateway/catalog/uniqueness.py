"""Which rows occurred before, by the keyed digest of their `x-unique` fields, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gateway.catalog.dataset import Dataset
from gateway.catalog.reading import RefusedRow, Row
from gateway.catalog.spill import Spill
from gateway.catalog.tables import KEY_TERM
from gateway.vault.keyring import MemberKeys


class Seen:
    """The keys of the rows seen so far, as keyed digests."""

    def __init__(self) -> None:
        self._seen = Spill("seen (term BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, terms: Iterable[bytes]) -> None:
        """Terms of rows that are published already."""
        with self._seen as seen:
            seen.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((term,) for term in terms))

    def first(self, term: bytes) -> bool:
        """Whether this is the term's first occurrence."""
        with self._seen as seen:
            return seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (term,)).rowcount == 1

    def close(self) -> None:
        """Forget everything, once no thread is at work on it."""
        self._seen.close()


def key_term(dataset: Dataset, keys: MemberKeys, row: Row) -> bytes:
    """The term of the row's unique fields together."""
    digest = hashlib.sha256()
    for name in dataset.schema.unique:
        value = row.values[name]
        digest.update(len(value).to_bytes(4, "big") + value)
    return keys.index_term(dataset.id, KEY_TERM, digest.hexdigest())


def without_duplicates(
    dataset: Dataset, keys: MemberKeys, seen: Seen, rows: list[Row]
) -> tuple[list[tuple[Row, bytes]], list[RefusedRow]]:
    """The rows whose key is new, each with its key's term, and the refusal of every other."""
    fresh: list[tuple[Row, bytes]] = []
    refused: list[RefusedRow] = []
    for row in rows:
        term = key_term(dataset, keys, row)
        if seen.first(term):
            fresh.append((row, term))
        else:
            refused.append(RefusedRow(row.line, dataset.schema.unique[0], "duplicate"))
    return fresh, refused

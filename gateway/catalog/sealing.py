"""From accepted rows to sealed records and index terms. Runs in a worker thread."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.catalog.columns import REMEMBERED, CellRefused
from gateway.catalog.dataset import Dataset
from gateway.catalog.reading import RefusedRow, Row, text_of
from gateway.catalog.spool import Term
from gateway.catalog.tables import KEY_TERM
from gateway.catalog.uniqueness import Seen, without_duplicates
from gateway.vault.keyring import MemberKeys, SubjectKey
from gateway.vault.subject_key import DATASET_SCOPE

ID_BYTES = 16
_SHARED_BYTES = 4
_FIRST_VERSION = 1


@dataclass(slots=True)
class Prepared:
    """Rows ready for sealing: each with its subject's pseudonym and its key term (b'' without `x-unique`)."""

    rows: list[tuple[Row, str, bytes]] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    scopes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Staged:
    """Rows for the table `record`, and terms for `record_term`."""

    records: list[dict[str, Any]]
    terms: list[Term]


class TermMemory:
    """Index terms of values seen before in this upload, bounded; those of one member's keys as they are in use."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._keys: MemberKeys | None = None
        self._known: dict[tuple[int, bytes], bytes | None] = {}

    def under(self, keys: MemberKeys) -> TermMemory:
        """Itself, for a batch under these keys: what others gave is forgotten."""
        if self._keys is not keys:
            self._keys = keys
            self._known = {}
        return self

    def term(self, number: int, value: bytes) -> bytes | None:
        """The term of an encoded value, None for null."""
        known = self._known.get((number, value), b"")
        if known != b"":
            return known
        assert self._keys is not None, "under some keys"
        text = text_of(value)
        term = None if text is None else self._keys.index_term(self._dataset.id, number, text)
        if len(self._known) < REMEMBERED:
            self._known[number, value] = term
        return term


def prepare(dataset: Dataset, keys: MemberKeys, seen: Seen | None, rows: list[Row]) -> Prepared:
    """Drop duplicates and find each row's subject key scope: its pseudonym, or the dataset where no person is."""
    prepared = Prepared()
    keyed = [(row, b"") for row in rows]
    if seen is not None:
        keyed, prepared.refused = without_duplicates(dataset, keys, seen, rows)
    if dataset.subject_field is None:
        prepared.rows = [(row, "", term) for row, term in keyed]
        prepared.scopes = {dataset_scope(dataset)} if rows else set()
        return prepared
    for row, term in keyed:
        try:
            pseudonym = keys.pseudonym(dataset.subject_in(row.values[dataset.subject_field]))
        except CellRefused as refused:
            prepared.refused.append(RefusedRow(row.line, dataset.subject_field, refused.code))
            continue
        prepared.rows.append((row, pseudonym, term))
        prepared.scopes.add(pseudonym)
    return prepared


def seal(
    dataset: Dataset, terms: TermMemory, subject_keys: Mapping[str, SubjectKey], upload_no: int, prepared: Prepared
) -> Staged:
    """Seal each row under its subject's key, in the order of the ids."""
    no, layout = dataset.no, dataset.layout
    sealers = {scope: layout.sealer(key) for scope, key in subject_keys.items()}
    common = dataset_scope(dataset)
    filterable = [(f.number, name) for name, f in dataset.fields.items() if f.filterable]
    ids = _new_ids(len(prepared.rows), together=dataset.subject_field is None)
    records: list[dict[str, Any]] = []
    found: list[Term] = []
    for record_id, (row, pseudonym, key_term) in zip(ids, prepared.rows, strict=True):
        scope = pseudonym or common
        records.append(
            {
                "dataset_no": no,
                "id": record_id,
                "version": _FIRST_VERSION,
                "upload_no": upload_no,
                "subject_key_id": subject_keys[scope].id,
                "pseudonym": pseudonym,
                "sealed": sealers[scope].seal(record_id, _FIRST_VERSION, pseudonym, row.values),
            }
        )
        for number, name in filterable:
            term = terms.term(number, row.values[name]) if name in row.values else None
            if term is not None:
                found.append((number, term, record_id))
        if key_term:
            found.append((KEY_TERM, key_term, record_id))
    return Staged(records, found)


def dataset_scope(dataset: Dataset) -> str:
    """The scope of the one key for data without a subject."""
    return DATASET_SCOPE + dataset.id


def _new_ids(count: int, *, together: bool) -> list[bytes]:
    """Random record ids in ascending order.

    `together`: they share 4 random bytes, so that a batch touches few pages of the index (2 times the speed). It
    tells which records came in one batch, so ids of personal records share nothing.
    """
    prefix = os.urandom(_SHARED_BYTES) if together else b""
    own = ID_BYTES - len(prefix)
    noise = os.urandom(own * count)
    return sorted(prefix + noise[at : at + own] for at in range(0, len(noise), own))

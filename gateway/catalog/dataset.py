"""A dataset as the rest of the gateway knows it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from gateway.catalog.columns import CellRefused, Column
from gateway.catalog.reading import text_of
from gateway.catalog.schema import Field, Schema
from gateway.confidentiality.classes import PUBLIC
from gateway.database import Row
from gateway.errors import Invalid
from gateway.vault.keyring import MemberKeys
from gateway.vault.sealed import Layout

_MOST_REMEMBERED = 1024
NO_FIELD = -1
"""The number that no field has, so that no row has a term of it."""
_NO_TERM = b""


class Openable(NamedTuple):
    """Fields, the classes that hold them, and the other fields of those classes, which are withheld."""

    fields: tuple[str, ...]
    classes: tuple[str, ...]
    withheld: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset. `version` moves with its schema and state, never with its data."""

    no: int
    id: str
    alliance: str
    owner: str
    name: str
    version: int
    created_at: int
    schema: Schema

    @classmethod
    def of(cls, row: Row) -> Dataset:
        """The dataset that a row of the table `dataset` stands for."""
        return cls(
            no=row["no"],
            id=row["id"],
            alliance=row["alliance_id"],
            owner=row["owner_id"],
            name=row["name"],
            version=row["version"],
            created_at=row["created_at"],
            schema=Schema.read(row["schema"]),
        )

    @property
    def kind(self) -> str:
        """market, product or personal."""
        return self.schema.kind

    @property
    def subject_field(self) -> str | None:
        """The field that names the person, in personal datasets alone."""
        return self.schema.subject_field

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in order of declaration."""
        return self.schema.fields

    @cached_property
    def class_of_field(self) -> Mapping[str, str]:
        """Field name -> protection class, in order of declaration."""
        return {name: field.class_name for name, field in self.fields.items()}

    @cached_property
    def grade_of_field(self) -> Mapping[str, int]:
        """Field name -> grade (GB/T 43697-2024), in order of declaration."""
        return {name: field.grade for name, field in self.fields.items()}

    @cached_property
    def confidentiality_of_field(self) -> Mapping[str, str]:
        """Field name -> what kind of secret it is (clause 8.1.1), `public` for none, in order of declaration."""
        return {name: field.confidentiality for name, field in self.fields.items()}

    @cached_property
    def has_secrets(self) -> bool:
        """Whether a field is confidential (clause 8.1.1)."""
        return any(kind != PUBLIC for kind in self.confidentiality_of_field.values())

    @cached_property
    def schema_sha256(self) -> str:
        """What the context of every sealed record names as its schema."""
        return hashlib.sha256(self.schema.text.encode()).hexdigest()

    @cached_property
    def layout(self) -> Layout:
        """How the dataset's records are sealed."""
        return Layout(
            alliance=self.alliance,
            owner=self.owner,
            dataset=self.id,
            schema=self.schema_sha256,
            classes=self.schema.classes,
            fields={name: (field.number, field.class_name) for name, field in self.fields.items()},
        )

    def bit(self, field: str) -> int:
        """The bit that stands for a field in consents; `Invalid` for a field that the dataset lacks."""
        found = self.fields.get(field)
        if found is None:
            raise Invalid("unknown_field", "The dataset has no such field.", field=field[:64])
        return 1 << found.number

    def bits(self, fields: tuple[str, ...]) -> int:
        """The bits of distinct fields together."""
        known = self._bits.get(fields)
        if known is None:
            known = sum(self.bit(field) for field in fields)
            if len(self._bits) < _MOST_REMEMBERED:
                self._bits[fields] = known
        return known

    @cached_property
    def _bits(self) -> dict[tuple[str, ...], int]:
        return {}

    def openable(self, granted: tuple[str, ...], consented: int) -> Openable:
        """What may be opened of a record whose subject consents to the fields of these bits (-1: no consent needed)."""
        known = self._openable.get((granted, consented))
        if known is None:
            fields = tuple(name for name in granted if self.bit(name) & consented)
            classes = tuple(dict.fromkeys(self.class_of_field[name] for name in fields))
            opened = {name for name, of in self.class_of_field.items() if of in classes}
            known = Openable(fields, classes, tuple(sorted(opened.difference(fields))))
            if len(self._openable) < _MOST_REMEMBERED:
                self._openable[granted, consented] = known
        return known

    @cached_property
    def _openable(self) -> dict[tuple[tuple[str, ...], int], Openable]:
        return {}

    def subject_of(self, text: str, at: str = "/subject") -> str:
        """The subject that `text` names, as `keys.pseudonym` takes it: read as a CSV cell of the subject field is.

        `Invalid` at the pointer `at` if no row can have this subject.
        """
        try:
            return self.subject_in(self._subject_column.of_text(text))
        except CellRefused as refused:
            raise Invalid("invalid_subject", "The subject field cannot have this value.", field=at) from refused

    def subject_in(self, value: bytes) -> str:
        """The subject that a row names by the encoded value of its subject field; `CellRefused` if it is empty."""
        text = text_of(value)
        if not text or text.isspace():
            raise CellRefused("missing_value")
        return text

    @cached_property
    def _subject_column(self) -> Column:
        if self.subject_field is None:
            raise Invalid("not_personal", "The dataset is about no persons.", field="dataset")
        return Column(self.fields[self.subject_field])

    def filter_terms(self, filters: Mapping[str, Any], keys: MemberKeys) -> list[tuple[int, bytes]]:
        """(field number, blind index term) per filter; equality only, on fields declared with `x-filter`.

        A value is checked as a row's would be, a string as a CSV cell. Texts are equal after NFKC
        and case folding. `Invalid` names the field.
        """
        return [self._filter_term(name, value, keys) for name, value in filters.items()]

    def row_terms(self, name: str, values: Sequence[str], keys: MemberKeys) -> tuple[int, list[bytes]]:
        """The field's number and the blind index terms of the values, of which an agreed row has one (clause 4.1.2).

        At least one term: what no row of this dataset can have, or a field without `x-filter`, matches nothing.
        """
        field = self.fields.get(name)
        if field is None or not field.filterable:
            return NO_FIELD, [_NO_TERM]
        terms = []
        for value in values:
            with suppress(Invalid):
                terms.append(self._filter_term(name, value, keys)[1])
        return field.number, terms or [_NO_TERM]

    def _filter_term(self, name: str, value: Any, keys: MemberKeys) -> tuple[int, bytes]:
        field = self.fields.get(name)
        if field is None or not field.filterable:
            raise Invalid(
                "not_filterable",
                "The dataset has no filter on this field.",
                field=name[:64],
                remedy="Filter on fields that the schema marks with x-filter.",
            )
        try:
            column = Column(field)
            text = text_of(column.of_text(value) if isinstance(value, str) else column.of_value(value))
        except CellRefused as refused:
            raise Invalid("invalid_filter", "The value is none that the field can have.", field=name) from refused
        if text is None:
            raise Invalid("invalid_filter", "Null matches nothing.", field=name)
        return field.number, keys.index_term(self.id, field.number, text)

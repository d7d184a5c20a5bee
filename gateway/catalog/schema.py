"""What a dataset's JSON Schema says once it has been checked (`gateway.catalog.declaration` checks it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GRADES: Mapping[Any, int] = {1: 1, 2: 2, 3: 3, 4: 4, "important": 5, "core": 6}
"""The grades as a schema states them, in order: core data is never shared."""
_FORMATS = {"date": "date", "date-time": "datetime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `number` (0..61) and its class keep their meaning for ever."""

    number: int
    name: str
    class_name: str
    grade: int
    """1 to 4, 5 for important and 6 for core data (GB/T 43697-2024)."""
    confidentiality: str
    """public, business_secret, technical_secret, customer or financial (clause 8.1.1)."""
    type: str
    """string, integer, number, boolean, date or datetime."""
    nullable: bool
    required: bool
    filterable: bool
    column: str
    """Its name in the header of a CSV file."""
    keywords: Mapping[str, Any]
    """The property's own JSON Schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A checked schema: its canonical text and what the text says. Mappings are in order of declaration."""

    text: str
    kind: str
    subject_field: str | None
    unique: tuple[str, ...]
    fields: Mapping[str, Field]
    classes: Mapping[str, int]
    for_children: bool = False
    """Whether whom it is about may well be a child, where the age is unknown (`x-for-children`)."""

    @classmethod
    def read(cls, text: str) -> Schema:
        """The schema that `declare` has checked and written as `text`."""
        document = json.loads(text)
        ordered = sorted(document["properties"].items(), key=lambda item: item[1]["x-number"])
        secret = "customer" if document["x-kind"] == "personal" else "business_secret"
        fields = {name: _field(name, keywords, name in document["required"], secret) for name, keywords in ordered}
        return cls(
            text=text,
            kind=document["x-kind"],
            subject_field=document.get("x-subject-field"),
            unique=tuple(document.get("x-unique", ())),
            fields=fields,
            for_children=document.get("x-for-children", False),
            classes={name: number for number, name in enumerate(dict.fromkeys(f.class_name for f in fields.values()))},
        )


def _field(name: str, keywords: Mapping[str, Any], required: bool, secret: str) -> Field:
    """A field as its keywords say; without `x-confidentiality` it is a secret of the dataset's usual kind."""
    declared = keywords["type"]
    scalar = declared if isinstance(declared, str) else next(t for t in declared if t != "null")
    return Field(
        number=keywords["x-number"],
        name=name,
        class_name=keywords["x-class"],
        grade=GRADES[keywords["x-grade"]],
        confidentiality=keywords.get("x-confidentiality", secret),
        type=_FORMATS.get(keywords.get("format", ""), scalar),
        nullable="null" in declared if isinstance(declared, list) else False,
        required=required,
        filterable="x-filter" in keywords,
        column=keywords.get("x-column", name),
        keywords=keywords,
    )

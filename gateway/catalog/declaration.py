"""Checking the JSON Schema of a new dataset (JSON Schema draft 2020-12, a closed list of keywords).

One object of scalars. Each property has `x-class` (its protection class: what is sealed together) and `x-grade`
(1 to 4, `important` or `core`, GB/T 43697-2024). `x-confidentiality` says what kind of secret it is, or `public`; what
says nothing is a business secret, in personal datasets customer information (clause 8.1.1). A property may have
`x-filter: equality`, `x-column` (the column's name in CSV where it differs) and `x-format: phone` (NFKC before
storing). At the top stand `x-kind`, `x-subject-field`, `x-unique`, and in personal datasets
`x-for-children`: whose age is unknown there is treated as under 14.
The order of the properties as received fixes field and class numbers; it is kept as `x-number`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import jsonschema_rs

from gateway.canonical import canonical
from gateway.catalog.naming import names_an_identity
from gateway.catalog.schema import GRADES, Field, Schema
from gateway.characters import shown_as_written
from gateway.confidentiality.classes import CONFIDENTIAL, PUBLIC
from gateway.errors import Invalid

MOST_FIELDS = 62  # a consent's fields are the bits of a signed 64-bit integer
MOST_CLASSES = 16
KINDS = ("market", "product", "personal")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=1 << 17, dfa_size_limit=1 << 20)
"""Look-around and back-references do not compile, nor what counts so far that it becomes large.

A match takes time by the text's length times the pattern's size, and nothing else runs in the process meanwhile.
"""
LONGEST_MATCHED = 1024
"""Characters of a text with a pattern: with the above, a match takes some milliseconds at most."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PERSONAL_CLASS = re.compile(r"(personal|sensitive)(_.*)?")
_TOP = frozenset(
    (
        *("$schema", "title", "description", "type", "properties", "required", "additionalProperties"),
        *("x-kind", "x-subject-field", "x-unique", "x-for-children"),
    )
)
_EVERY = frozenset(
    ("type", "title", "description", "enum", "x-class", "x-grade", "x-confidentiality", "x-filter", "x-column")
)
_OWN: Mapping[str, frozenset[str]] = {
    "string": frozenset(["format", "pattern", "minLength", "maxLength", "x-format"]),
    "integer": frozenset(["minimum", "maximum"]),
    "number": frozenset(["minimum", "maximum"]),
    "boolean": frozenset(),
}
_LONGEST_TEXT = 1024
_LONGEST_ENUM = 256
_MOST_UNIQUE = 4
_GUESSABLE = 256


def declare(document: Mapping[str, Any]) -> Schema:
    """Check a schema as received and number its fields and classes; `Invalid` names what is wrong with it."""
    _only(document, _TOP, "")
    properties = document.get("properties")
    if document.get("type") != "object" or not isinstance(properties, dict):
        raise _wrong("", "A dataset's schema is of type object and has properties.")
    if document.get("$schema", DRAFT) != DRAFT:
        raise _wrong("/$schema", "Only JSON Schema draft 2020-12 is spoken.")
    if document.get("additionalProperties", False) is not False:
        raise _wrong("/additionalProperties", "Unknown fields are never accepted; this is false.")
    if document.get("x-kind") not in KINDS:
        raise _wrong("/x-kind", f"A dataset is one of {', '.join(KINDS)}.")
    if not 1 <= len(properties) <= MOST_FIELDS:
        raise _wrong("/properties", f"A dataset has 1 to {MOST_FIELDS} fields.")
    children = document.get("x-for-children", False)
    if not isinstance(children, bool) or (children and document["x-kind"] != "personal"):
        raise _wrong("/x-for-children", "It is true or false, and true in personal datasets alone.")
    if not isinstance(document.get("x-subject-field"), str | None):
        raise _wrong("/x-subject-field", "It is the name of a field.")
    _check_texts(document, "")
    for name, keywords in properties.items():
        _check_property(name, keywords)
    for list_name in ("required", "x-unique"):
        _check_names(document.get(list_name, []), properties, f"/{list_name}")
    if len(document.get("x-unique", [])) > _MOST_UNIQUE:
        raise _wrong("/x-unique", f"At most {_MOST_UNIQUE} fields together are unique.")
    schema = Schema.read(canonical(_completed(document, properties)).decode())
    _check_across(schema)
    _check_kind(schema)
    return schema


def _completed(document: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its defaults spelt out.

    Required unless nullable, null in a nullable field's enum, the length of a text with a pattern.
    """
    numbered = {}
    for number, (name, given) in enumerate(properties.items()):
        keywords = {**given, "x-number": number}
        if "pattern" in keywords:
            keywords.setdefault("maxLength", LONGEST_MATCHED)
        if "enum" in keywords and "null" in keywords["type"] and None not in keywords["enum"]:
            keywords["enum"] = [*keywords["enum"], None]
        numbered[name] = keywords
    required = [name for name, keywords in properties.items() if "null" not in keywords["type"]]
    defaults = {"$schema": DRAFT, "additionalProperties": False, "required": required}
    return {**defaults, **document, "properties": numbered}


def _check_property(name: str, keywords: Any) -> None:
    at = f"/properties/{name[:64]}"
    if not _NAME.fullmatch(name):
        raise _wrong(at, "A field's name is a-z, then a-z, 0-9 and _, at most 64.", "Name the column in x-column.")
    if not isinstance(keywords, dict):
        raise _wrong(at, "A property is described by an object.")
    scalar = _scalar(keywords.get("type"), at)
    _only(keywords, _EVERY | _OWN[scalar], at)
    _check_texts(keywords, at)
    if not _NAME.fullmatch(_text(keywords.get("x-class"), f"{at}/x-class")):
        raise _wrong(f"{at}/x-class", "A class is named by a-z, then a-z, 0-9 and _, at most 64.")
    grade = keywords.get("x-grade")
    if isinstance(grade, bool) or not isinstance(grade, int | str) or grade not in GRADES:
        raise _wrong(f"{at}/x-grade", "A grade is 1, 2, 3, 4, important or core.")
    if keywords.get("x-confidentiality", PUBLIC) not in (PUBLIC, *CONFIDENTIAL):
        raise _wrong(f"{at}/x-confidentiality", f"It is one of {', '.join((PUBLIC, *CONFIDENTIAL))}.")
    if keywords.get("format", "date") not in ("date", "date-time"):
        raise _wrong(f"{at}/format", "A format is date or date-time.")
    if keywords.get("x-format", "phone") != "phone":
        raise _wrong(f"{at}/x-format", "The only x-format is phone.")
    _check_bounds(keywords, at)
    _check_pattern(keywords, at)
    _check_enum(keywords, scalar, at)
    _check_filter(keywords, scalar, at)


def _check_bounds(keywords: Mapping[str, Any], at: str) -> None:
    for bound in ("minimum", "maximum", "minLength", "maxLength"):
        if not _is_integer(keywords.get(bound, 0)):
            raise _wrong(f"{at}/{bound}", "A bound is an integer below 2**53.")
    for least, most in (("minimum", "maximum"), ("minLength", "maxLength")):
        if least in keywords and most in keywords and keywords[least] > keywords[most]:
            raise _wrong(f"{at}/{most}", f"No value could be within {least} and {most}.")
    for length in ("minLength", "maxLength"):
        if keywords.get(length, 0) < 0:
            raise _wrong(f"{at}/{length}", "A length is not negative.")


def _scalar(declared: Any, at: str) -> str:
    types = [declared] if isinstance(declared, str) else declared
    if isinstance(types, list) and all(isinstance(t, str) for t in types):
        scalars = [t for t in types if t != "null"]
        if len(scalars) == 1 and scalars[0] in _OWN and len(types) <= len({"scalar", "null"}):
            return str(scalars[0])
    raise _wrong(f"{at}/type", "A type is string, integer, number or boolean, or a list of one of them and null.")


def _check_pattern(keywords: Mapping[str, Any], at: str) -> None:
    if "pattern" not in keywords:
        return
    pattern = _text(keywords["pattern"], f"{at}/pattern")
    try:
        jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern}, pattern_options=PATTERN_OPTIONS)
    except ValueError:
        raise _wrong(
            f"{at}/pattern",
            "The pattern does not compile.",
            "Leave out look-around and references, and say lengths by minLength and maxLength.",
        ) from None
    for length in ("minLength", "maxLength"):
        if keywords.get(length, 0) > LONGEST_MATCHED:
            raise _wrong(f"{at}/{length}", f"A text with a pattern has at most {LONGEST_MATCHED} characters.")


def _check_enum(keywords: Mapping[str, Any], scalar: str, at: str) -> None:
    if "enum" not in keywords:
        return
    values = keywords["enum"]
    if not isinstance(values, list) or not 1 <= len(values) <= _LONGEST_ENUM or scalar not in ("string", "integer"):
        raise _wrong(f"{at}/enum", f"An enum lists 1 to {_LONGEST_ENUM} strings or integers.")
    for value in values:
        fits = _is_text(value) if scalar == "string" else _is_integer(value)
        if not fits and not (value is None and "null" in keywords["type"]):
            raise _wrong(f"{at}/enum", "A value in the enum is not of the field's type.")


def _check_filter(keywords: Mapping[str, Any], scalar: str, at: str) -> None:
    """A blind index shows which rows are equal, so a field with few values would give its values away."""
    if "x-filter" not in keywords:
        return
    if keywords["x-filter"] != "equality":
        raise _wrong(f"{at}/x-filter", "The only filter is equality.")
    few = "minimum" in keywords and "maximum" in keywords and keywords["maximum"] - keywords["minimum"] < _GUESSABLE
    if scalar in ("boolean", "number") or "enum" in keywords or few:
        raise _wrong(
            f"{at}/x-filter", "Numbers with fractions, booleans and fields with few possible values have no filter."
        )


def _check_names(names: Any, properties: Collection[str], at: str) -> None:
    if not isinstance(names, list) or any(name not in properties for name in names if isinstance(name, str)):
        raise _wrong(at, "It lists names of the dataset's fields.")
    if any(not isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise _wrong(at, "It lists names, each once.")


def _check_across(schema: Schema) -> None:
    columns: dict[str, str] = {}
    for field in schema.fields.values():
        if columns.setdefault(field.column, field.name) != field.name:
            raise _wrong(f"/properties/{field.name}/x-column", "Two fields have the same column.")
    if len(schema.classes) > MOST_CLASSES:
        raise _wrong("/properties", f"A dataset has at most {MOST_CLASSES} protection classes.")
    for name in schema.unique:
        if not _names_a_thing(schema.fields[name]):
            raise _wrong("/x-unique", "Only required strings, integers and dates are unique.")


def _check_kind(schema: Schema) -> None:
    """Customers stand in personal datasets only (clause 4.1.1); there, a row names whose consent it needs."""
    if schema.kind == "personal":
        subject = schema.fields.get(schema.subject_field or "")
        if subject is None or not _names_a_thing(subject):
            raise _wrong("/x-subject-field", "A personal dataset names a required string or integer as its subject.")
        if not _PERSONAL_CLASS.fullmatch(subject.class_name):
            at = f"/properties/{subject.name}/x-class"
            raise _wrong(at, "The subject's class is personal or sensitive, or begins with personal_ or sensitive_.")
        return
    told = [(one.name, _personal(one)) for one in schema.fields.values()]
    personal = [f"/schema/properties/{name}/{why}" for name, why in told if why is not None]
    if schema.subject_field is not None or personal:
        raise Invalid(
            "CLASS_NOT_SHAREABLE",
            f"A {schema.kind} dataset holds no personal information (clause 4.1.1).",
            field="/schema/x-subject-field" if schema.subject_field is not None else personal[0].removesuffix("/"),
            remedy="Declare the dataset personal, or name the field for what it is if no person is meant.",
        )


def _personal(field: Field) -> str | None:
    """By which keyword a field says that it is about a person ('' for its names); None where it does not."""
    if _PERSONAL_CLASS.fullmatch(field.class_name):
        return "x-class"
    if "x-format" in field.keywords:
        return "x-format"
    return "" if names_an_identity(field) else None


def _names_a_thing(field: Field) -> bool:
    return field.required and not field.nullable and field.type not in ("boolean", "number")


def _only(given: Mapping[str, Any], known: Collection[str], at: str) -> None:
    for keyword in given:
        if keyword not in known:
            raise _wrong(f"{at}/{keyword[:64]}", "This keyword has no meaning here.", "See the list of keywords.")


def _check_texts(given: Mapping[str, Any], at: str) -> None:
    """What people read is shown as it is written; `x-column` is as it stands in the files."""
    for keyword in ("title", "description", "x-column"):
        if keyword in given:
            said = _text(given[keyword], f"{at}/{keyword}")
            if keyword != "x-column":
                shown_as_written(said, f"/schema{at}/{keyword}", lines=keyword == "description")


def _text(value: Any, at: str) -> str:
    if not _is_text(value) or not 0 < len(value) <= _LONGEST_TEXT:
        raise _wrong(at, f"It is a string of 1 to {_LONGEST_TEXT} characters of Unicode.")
    return str(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _SURROGATE.search(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _wrong(at: str, detail: str, remedy: str | None = None) -> Invalid:
    return Invalid("invalid_schema", detail, field=f"/schema{at}", remedy=remedy)

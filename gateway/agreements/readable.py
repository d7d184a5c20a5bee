"""An agreement as people read it, in English or Simplified Chinese, made from the same terms that are signed.

The words explain; what binds is the text, whose digest stands at the end. Every term of the text appears: one that
has no place here is refused, not left out. What the parties did not agree on is listed as off (clause 2.3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.agreements.dataset_terms import OPTIONAL as OPTIONAL_OF_DATASET
from gateway.agreements.readable_words import LANGUAGES, word
from gateway.agreements.terms import OPTIONAL, Terms
from gateway.canonical import parse
from gateway.errors import Invalid

__all__ = ["LANGUAGES", "Readable", "Section", "readable"]

_BASIS_POINTS_OF_A_PERCENT = 100

Say = Callable[[Any, str], str]
"""A term's value in a language."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and what stands under it: labels with their values."""

    heading: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Readable:
    """An agreement in one language (BCP 47)."""

    language: str
    title: str
    sections: tuple[Section, ...]


def readable(terms: Terms, language: str) -> Readable:
    """The agreement in a language of `LANGUAGES`; `Invalid` for another, or for a term that has no place here."""
    if language not in LANGUAGES:
        raise Invalid("language_unknown", "There is no such language.", field="lang", remedy="Use zh-CN or en.")
    value = parse(terms.text)
    _refuse_unplaced(value, {name for names in PLACES.values() for name in names} | {"datasets"}, "")
    sections = []
    for key, names in PLACES.items():
        lines = tuple(_lines(value, names, language))
        if key == "share":
            sections += list(_datasets(value["datasets"], language))
        if lines:
            sections.append(Section(word(key, language), lines))
    sections += _off(value, language)
    sections.append(Section(word("text", language), ((word("sha256", language), terms.sha256),)))
    return Readable(language, terms.title, tuple(sections))


def _datasets(parts: list[Mapping[str, Any]], language: str) -> Iterator[Section]:
    for number, part in enumerate(parts):
        _refuse_unplaced(part, PLACES_OF_DATASET, f"/datasets/{number}")
        heading = f"{word('share', language)} {number + 1}"
        yield Section(heading, tuple(_lines(part, PLACES_OF_DATASET, language)))


def _lines(value: Mapping[str, Any], names: tuple[str, ...], language: str) -> Iterator[tuple[str, str]]:
    for name in names:
        if name in value:
            yield word(name, language), SAYINGS.get(name, _as_it_is)(value[name], language)


def _off(value: Mapping[str, Any], language: str) -> list[Section]:
    """What was not agreed, in the order of the terms."""
    plain = [word(name, language) for name in OPTIONAL if name not in value and name not in ("amends", "template")]
    lines = [(one, "—") for one in plain]
    for part in value["datasets"]:
        lines += [(f"{part['dataset']}: {word(one, language)}", "—") for one in OPTIONAL_OF_DATASET if one not in part]
    return [Section(word("off", language), tuple(lines))] if lines else []


def _refuse_unplaced(value: Mapping[str, Any], placed: Any, at: str) -> None:
    for name in value:
        if name not in placed:
            raise Invalid("term_not_readable", "This term cannot be put into words.", field=f"{at}/{name}")


def _as_it_is(value: Any, _: str) -> str:
    return str(value)


def _listed(value: Any, language: str) -> str:
    return _comma(language).join(value)


def _words(value: Any, language: str) -> str:
    """Each word of a closed set as people say it, with the word itself."""
    return _comma(language).join(_both(one, language) for one in value)


def _both(name: str, language: str) -> str:
    said = word(name, language)
    return name if said == name else f"{said} ({name})"


def _comma(language: str) -> str:
    return ", " if language == "en" else "、"


def _phrase(key: str, language: str, **values: Any) -> str:
    return word(key, language).format(**values)


def _rows(value: Any, language: str) -> str:
    joint = "; " if language == "en" else "；"
    said = [_phrase("rows_of", language, field=one["field"], values=_listed(one["in"], language)) for one in value]
    return joint.join(said)


def _cadence(value: Any, language: str) -> str:
    every = _phrase(value["every"], language, on=value["on"])
    return _phrase("cadence_of", language, **{**value, "every": every})


def _ratio(value: Any, language: str) -> str:
    owner, recipient = (_percent(value[name]) for name in ("owner_bp", "recipient_bp"))
    return _phrase("ratio_of", language, owner=owner, recipient=recipient)


def _percent(basis_points: int) -> str:
    whole, rest = divmod(basis_points, _BASIS_POINTS_OF_A_PERCENT)
    return f"{whole}.{rest:02d} %"


def _dispute(value: Any, language: str) -> str:
    forum = _both(value["forum"], language)
    return _phrase("dispute_of", language, days=value["negotiation_days"], forum=forum, body=value["body"])


def _signed_messages(value: Any, language: str) -> str:
    actions = _words(value["actions"], language)
    return _phrase("signed_messages_of", language, actions=actions, profile=value["profile"])


PLACES: dict[str, tuple[str, ...]] = {
    "parties": ("title", "owner", "recipient", "alliance", "agreement", "amends", "template", "v"),
    "term": ("start", "end"),
    "share": (),
    "use": ("frequency", "signed_messages"),
    "secrecy": ("confidentiality_years", "onward", "third_parties"),
    "money": ("revenue_ratio",),
    "law": ("rights_and_duties", "liability", "remedies", "dispute"),
}
"""Which terms stand under which heading, in order; the datasets' parts stand under `share`."""

PLACES_OF_DATASET = (
    *("dataset", "fields", "purposes", "methods"),
    *("rows", "volume", "cadence", "lawful_basis", "retention_days"),
)

SAYINGS: dict[str, Say] = {
    "fields": _listed,
    "purposes": _words,
    "methods": _words,
    "rows": _rows,
    "volume": lambda value, language: _phrase("volume_of", language, **value),
    "cadence": _cadence,
    "lawful_basis": _both,
    "retention_days": lambda value, language: _phrase("days_of", language, days=value),
    "frequency": lambda value, language: _phrase("frequency_of", language, **value),
    "signed_messages": _signed_messages,
    "confidentiality_years": lambda value, language: _phrase("years_of", language, years=value),
    "onward": _both,
    "third_parties": _listed,
    "revenue_ratio": _ratio,
    "remedies": lambda value, language: _phrase("remedies_of", language, days=value["cure_days"]),
    "dispute": _dispute,
}
"""How a term's value is put into words; what is not here stands as it is."""

"""Templates: named sets of terms that an agreement of that kind must have (clause 2.3.1), kept in `templates.json`.

A pointer with `*` means every dataset's part. An agreement without a template may leave out any term that is
optional; what it leaves out is off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from gateway.errors import Invalid

CLAUSE = "2.3.1"


@dataclass(frozen=True, slots=True)
class Template:
    """What an agreement of this kind is called in each language, and the JSON pointers of what it must say."""

    name: str
    title: Mapping[str, str]
    mandatory: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """As members see it."""
        return {"name": self.name, "title": dict(self.title), "mandatory": list(self.mandatory), "clause": CLAUSE}

    def missing(self, terms: Mapping[str, Any]) -> list[str]:
        """The JSON pointers of the mandatory terms that these terms lack, in order."""
        return [place for pointer in self.mandatory for place in _absent(terms, pointer)]


@cache
def templates() -> Mapping[str, Template]:
    """Every template, by name."""
    known = json.loads(files("gateway.agreements").joinpath("templates.json").read_text(encoding="utf-8"))
    return {name: Template(name, one["title"], tuple(one["mandatory"])) for name, one in known.items()}


def refuse_incomplete(terms: Mapping[str, Any]) -> None:
    """Return if the terms name no template, or have all that theirs demands; else `Invalid` names each that lacks."""
    name = terms.get("template")
    if name is None:
        return
    template = templates().get(name)
    if template is None:
        raise Invalid(
            "template_unknown",
            "There is no such template.",
            field="/template",
            remedy=f"Use {' or '.join(templates())}, or none.",
        )
    missing = template.missing(terms)
    if missing:
        raise Invalid(
            "template_term_missing",
            f"An agreement of this template must say (clause {CLAUSE}): {', '.join(missing)}.",
            field=missing[0],
            remedy="Add these terms, or name no template.",
        )


def _absent(terms: Mapping[str, Any], pointer: str) -> Iterator[str]:
    *parents, name = pointer.split("/")[1:]
    places: list[tuple[str, Mapping[str, Any]]] = [("", terms)]
    if parents:
        places = [(f"/datasets/{index}", part) for index, part in enumerate(terms["datasets"])]
    for at, place in places:
        if name not in place:
            yield f"{at}/{name}"

"""What one text of an agreement changes in another, by JSON pointer (RFC 6901): for machines, and as lines to read.

Both texts are canonical, so the same two texts give the same redline on every machine, and nothing of it needs to be
stored: the texts are. Arrays are compared place by place, but datasets by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.canonical import canonical, parse

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs: `added`, `removed` or `changed`, with the value before and the value after."""

    change: str
    pointer: str
    before: Any = None
    after: Any = None

    def describe(self) -> dict[str, Any]:
        """For machines: `{"change","pointer","before"?,"after"?}`."""
        values = {"before": self.before, "after": self.after}
        there = {"added": ("after",), "removed": ("before",), "changed": ("before", "after")}[self.change]
        return {"change": self.change, "pointer": self.pointer, **{name: values[name] for name in there}}

    def line(self) -> str:
        """For people: `~ /frequency/reads: 10 → 20`."""
        if self.change == "added":
            return f"+ {self.pointer}: {_shown(self.after)}"
        if self.change == "removed":
            return f"- {self.pointer}: {_shown(self.before)}"
        return f"~ {self.pointer}: {_shown(self.before)} → {_shown(self.after)}"


def redline(before: bytes, after: bytes) -> list[Difference]:
    """Every place in which two texts of terms differ, in the order of their pointers; empty if they are equal."""
    return list(_differences(_keyed(parse(before)), _keyed(parse(after)), ""))


def _keyed(terms: Any) -> Any:
    """Terms whose datasets stand under their names, so that one more in front is not a change of all that follow."""
    return {**terms, "datasets": {part["dataset"]: part for part in terms["datasets"]}}


def _differences(before: Any, after: Any, at: str) -> Iterator[Difference]:
    if before is _ABSENT:
        yield Difference("added", at, after=after)
    elif after is _ABSENT:
        yield Difference("removed", at, before=before)
    elif isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from _differences(before.get(name, _ABSENT), after.get(name, _ABSENT), f"{at}/{name}")
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            yield from _differences(_at(before, place), _at(after, place), f"{at}/{place}")
    elif canonical(before) != canonical(after):
        yield Difference("changed", at, before=before, after=after)


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else _ABSENT


def _shown(value: Any) -> str:
    return canonical(value).decode()

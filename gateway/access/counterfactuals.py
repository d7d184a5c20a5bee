"""Which single fact, had it been another, would have met a requirement, or broken it: found by deciding again.

A candidate differs from the case in one fact. What the fact could be is read off the rules: the words and the other
facts that they compare it with. Whether it matters is never guessed; the policy is asked.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.policy import CIRCUMSTANCES, DecisionPoint, PolicyBundle

OPEN_END: Final = 253_402_300_799
_WORD: Final = re.compile(r'"([a-z][a-z0-9_]*)"')
_FACT: Final = re.compile(r"input((?:\.[a-z_]+)+)")
_PART: Final = re.compile(r"([a-z_]+) := (input(?:\.[a-z_]+)+)")
_NAME: Final = re.compile(r'(?<![."\w])[a-z_]+\b(?!")')
_NAMED_SET: Final = re.compile(r"^([a-z_]+) := \{([^}]*)\}", re.MULTILINE)
_HIGHEST_CLEARANCE: Final = 4
_HOLDS: Final = ("holds",)

Path = tuple[str | int, ...]


class Change(NamedTuple):
    """One fact of a case, as it was and as it would be; `code` is the requirement that it decides."""

    code: str
    fact: str
    was: Any
    would_be: Any


class Counterfactuals:
    """Asks the policy about cases that differ in one fact."""

    def __init__(self, decisions: DecisionPoint, bundle: PolicyBundle) -> None:
        self._decisions = decisions
        lines = [line for module in bundle.modules for line in module.text.splitlines()]
        self._lines = [line for line in _in_full(lines) if '"type"' not in line and "is_string(" not in line]
        self._sets = {
            name: _WORD.findall(body)
            for module in bundle.modules
            for name, body in _NAMED_SET.findall(module.text)
            if _WORD.search(body)
        }

    async def that_meet(self, case: Mapping[str, Any], codes: Sequence[str]) -> list[Change]:
        """For each unmet requirement the first fact that alone would meet it, and leave none other unmet."""
        return await self._first(case, codes, lambda unmet: set(codes) - unmet if unmet <= set(codes) else set())

    async def that_end(self, case: Mapping[str, Any]) -> list[Change]:
        """For each requirement the first fact that alone would break it, and so end the permit."""
        return await self._first(case, None, lambda unmet: unmet)

    async def _first(self, case: Mapping[str, Any], codes: Sequence[str] | None, decided: Any) -> list[Change]:
        case = _with_what_is_absent(case)
        found: dict[str, Change] = {}
        decisive: set[Path] = set()
        for path, value in self._candidates(case):
            if codes is None and path in decisive:
                continue
            changed = _put(case, path, value)
            decision = await self._decisions.decide(changed)
            if not decision.case_sha256 or decision.effect == "indeterminate":
                continue
            for code in decided({reason.code for reason in decision.reasons}) - found.keys() - {"CASE_MALFORMED"}:
                found[code] = Change(code, _named(path), _at(case, path), value)
                decisive.add(path)
            if codes is not None and found.keys() >= set(codes):
                break
        return [found[code] for code in codes or sorted(found) if code in found]

    def _candidates(self, case: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
        for path in sorted(_paths(case), key=_likely):
            value = _at(case, path)
            tried = [value]
            for other in self._others(case, path, value):
                if other not in tried:
                    tried.append(other)
                    yield path, other

    def _others(self, case: Mapping[str, Any], path: Path, value: Any) -> Iterator[Any]:
        now = case["context"]["now"]
        if isinstance(value, dict) and value.keys() == {"from", "until"}:
            yield from ({"from": 0, "until": OPEN_END}, {"from": 0, "until": 0})
        elif isinstance(value, list):
            yield from _additions(case, path, value)
            yield from (
                [*value[:number], *value[number + 1 :]] for number in range(len(value) if path == _HOLDS else 0)
            )
            yield []
        elif isinstance(value, int):
            yield from (OPEN_END, now, 0) if value > _HIGHEST_CLEARANCE or "until" in str(path[-1]) else ()
            yield from (_HIGHEST_CLEARANCE, 1, 0) if value <= _HIGHEST_CLEARANCE else ()
        elif isinstance(value, str):
            yield from self._words(case, path)

    def _words(self, case: Mapping[str, Any], path: Path) -> Iterator[str]:
        """What the rules compare this fact with: words, sets of words, and other facts of the case."""
        named = [str(step) for step in path if isinstance(step, str)]
        mention = re.compile(rf"\.{re.escape(named[-1])}\b")
        mentioned = [line for line in self._lines if mention.search(line)]
        for line in mentioned:
            yield from _WORD.findall(line)
            for name, words in self._sets.items():
                if re.search(rf"\b{name}\b", line):
                    yield from words
            for other in _FACT.findall(line):
                steps = other.strip(".").split(".")
                if steps != named and isinstance(said := _look(case, steps), str):
                    yield said
        if mentioned:
            yield "other"


def _with_what_is_absent(case: Mapping[str, Any]) -> dict[str, Any]:
    """The same case with an empty interval for each circumstance that does not stand: that is a fact, too."""
    nothing = {name: {"from": 0, "until": 0} for name in CIRCUMSTANCES}
    return {**case, "circumstances": {**nothing, **case["circumstances"]}}


def _in_full(lines: Sequence[str]) -> Iterator[str]:
    """The lines with each part of the input by its whole name, whatever the rules call it."""
    parts = {part[1]: part[2] for line in lines if (part := _PART.fullmatch(line))}
    for line in lines:
        yield _NAME.sub(lambda name: parts.get(name[0], name[0]), line)


def _additions(case: Mapping[str, Any], path: Path, value: list[Any]) -> Iterator[list[Any]]:
    """The list with what was asked for, or with a consent or a part of a token that covers what was asked."""
    subject, action, purpose = case["subject"], case["action"], case["context"]["purpose"]
    if path == ("subject", "grants"):
        made = {"agreement": case["agreement"]["id"], "datasets": [case["resource"]["dataset"]], "purposes": [purpose]}
        yield [*value, made | {"actions": [action["name"]]}]
    elif path == ("onward_consents",):
        yield [*value, {"purpose": purpose, "from": 0, "until": OPEN_END}]
    elif path == ("agreement", "granted_fields"):
        yield list(dict.fromkeys([*value, *action["fields"]]))
    elif path != _HOLDS:
        wanted = (purpose, action["method"], action["name"], subject["member"], case["resource"]["dataset"])
        yield from ([*value, one] for one in wanted if one not in value)


def _likely(path: Path) -> tuple[int, int]:
    """Which facts are looked at first: those that people decide on, then the terms, then the request itself."""
    order = ("holds", "circumstances", "onward_consents", "subject", "resource", "agreement", "action", "context")
    return order.index(str(path[0])), len(path)


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in steps:
        yield (*path, step)
        if not (isinstance(member, dict) and member.keys() == {"from", "until"}):
            yield from _paths(member, (*path, step))


def _at(case: Any, path: Path) -> Any:
    for step in path:
        case = case[step]
    return case


def _look(case: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        case = case.get(step) if isinstance(case, dict) else None
    return case


def _put(case: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(dict(case))
    part = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return dict(changed)


def _named(path: Path) -> str:
    return ".".join(map(str, path))

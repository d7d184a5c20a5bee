"""The rules as `opa parse` reads them: the real parser, so no second reading of Rego that could differ."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Term = Mapping[str, Any]
"""A node of OPA's syntax tree: `{"type": …, "value": …}`."""

Literal = Mapping[str, Any]
"""One statement of a rule's body."""

PACKAGE: Final = ("gateway", "access")


class Untranslatable(Exception):
    """A construct that the translator does not know. It refuses, and never guesses what the construct means."""


_MOST_NAMES: Final = 3
_TRUE: Final[Term] = {"type": "boolean", "value": True}
"""The body of a rule that is written without one."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule: `name(args) := value if { body } else := …`, or `name contains key`, or `name[key] := value`.

    `name.key.member := value` has a `member` too. Its name is an object in OPA even where no body holds, so that
    nothing but the member may be asked for.
    """

    name: str
    body: tuple[Literal, ...]
    is_default: bool = False
    args: tuple[Term, ...] | None = None
    key: Term | None = None
    member: str | None = None
    value: Term | None = None
    otherwise: Rule | None = None

    @property
    def is_unconditional(self) -> bool:
        """Whether it gives a value its name, and no more."""
        if self.is_default or self.otherwise is not None or len(self.body) != 1:
            return False
        (statement,) = self.body
        return statement["terms"] == _TRUE and not statement.keys() & {"negated", "with"}


Rules = Mapping[str, tuple[Rule, ...]]
"""Every rule of the policy by its name."""


def read_rules(opa: Path, policies: Path) -> Rules:
    """The rules of every module under `policies` that is no test; `Untranslatable` if one lies in another package."""
    rules: dict[str, list[Rule]] = {}
    for path in sorted(policies.rglob("*.rego")):
        if not path.name.endswith("_test.rego"):
            for rule in _of_module(_parsed(opa, path), path):
                rules.setdefault(rule.name, []).append(rule)
    return {name: tuple(bodies) for name, bodies in rules.items()}


def _parsed(opa: Path, path: Path) -> Any:
    command = [str(opa), "parse", str(path), "--format", "json", "--json-include", "-comments,-locations"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def _of_module(module: Any, path: Path) -> Iterator[Rule]:
    package = tuple(str(part["value"]) for part in module["package"]["path"][1:])
    if package != PACKAGE or module.get("imports"):
        raise Untranslatable(f"{path.name}: only rules of package {'.'.join(PACKAGE)} without imports are known.")
    yield from (_rule(rule) for rule in module["rules"])


def _rule(rule: Any) -> Rule:
    head = rule["head"]
    path = head["ref"]
    if len(path) > _MOST_NAMES or (len(path) > 1 and ("value" not in head or "args" in head)):
        raise Untranslatable(f"{path[0]['value']}: the head of this rule is not known.")
    return Rule(
        name=str(path[0]["value"]),
        body=tuple(rule["body"]),
        is_default=bool(rule.get("default")),
        args=tuple(head["args"]) if "args" in head else None,
        key=path[1] if len(path) > 1 else head.get("key"),
        member=str(path[2]["value"]) if len(path) == _MOST_NAMES else None,
        value=head.get("value"),
        otherwise=_rule(rule["else"]) if "else" in rule else None,
    )


def variables(node: Any) -> Iterator[str]:
    """Every variable that a term or statement mentions."""
    if isinstance(node, Mapping):
        if node.get("type") == "var":
            yield str(node["value"])
        for part in node.values():
            yield from variables(part)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from variables(part)

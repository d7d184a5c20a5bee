"""The rules pass OPA's own tools, and OPA's own parser finds nothing outside the portable profile."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.profile import BUILTINS
from tests.policy.conftest import POLICIES
from tests.policy.test_bundle import BANNED

_OPERATORS = {
    *("assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte", "plus", "minus", "mul", "rem"),
    *("internal.member_2", "or"),
}
_NOT_SEEN_IN_A_TREE = {
    "a join as a value",
    "a type as a value",
    "a type compared",
    "a type in a list",
    "a character",
    "every without braces",
    "a rule after a blank",
    "a requirement in brackets",
}


def _opa(opa_binary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([opa_binary, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_the_tests_of_the_policy_pass_and_cover_it(opa_binary: Path) -> None:
    ran = _opa(opa_binary, "test", "--timeout", "60s", "--format", "json", str(POLICIES))
    assert ran.returncode == 0, ran.stdout
    assert len(json.loads(ran.stdout)) >= 15
    measured = _opa(opa_binary, "test", "--timeout", "60s", "--coverage", "--format", "json", str(POLICIES))
    covered = json.loads(measured.stdout)
    assert covered["coverage"] >= 95


def test_the_policy_passes_the_strict_check(opa_binary: Path) -> None:
    checked = _opa(opa_binary, "check", "--strict", str(POLICIES))
    assert checked.returncode == 0, checked.stderr


def test_the_policy_is_formatted(opa_binary: Path) -> None:
    formatted = _opa(opa_binary, "fmt", "--list", "--fail", str(POLICIES))
    assert (formatted.returncode, formatted.stdout) == (0, "")


def test_every_requirement_names_its_clause_in_the_rules(opa_binary: Path) -> None:
    inspected = _opa(opa_binary, "inspect", "--annotations", "--format", "json", str(POLICIES))
    annotations = [item["annotations"] for item in json.loads(inspected.stdout)["annotations"]]
    assert all(annotation["title"] for annotation in annotations)
    clauses = {annotation["custom"]["clause"] for annotation in annotations if "custom" in annotation}
    assert {"1.1", "2.2.3", "2.3.2", "4.1.2", "4.3.1", "7.2.3", "8.2.2", "9.2.3"} <= clauses


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(branch)


def _ref(term: Any) -> str:
    return ".".join(str(part["value"]) for part in term["value"])


def _named_by(node: dict[str, Any]) -> Iterator[Any]:
    """The terms that a rule's head, `some`, `every` or `:=` makes variables of."""
    yield from node.get("args") or ()
    yield from (node[part] for part in ("key", "value") if "domain" in node and node[part])
    for symbol in node.get("symbols") or ():
        yield symbol["value"][1] if symbol["type"] == "call" else symbol
    terms = node.get("terms")
    if isinstance(terms, list) and terms[0].get("type") == "ref" and _ref(terms[0]) == "assign":
        yield terms[1]


def _hidden(module: dict[str, Any], rules: set[str]) -> Iterator[str]:
    for node in _nodes(module):
        for term in _named_by(node):
            if term["type"] != "var":
                yield "several variables at once"
            elif term["value"] in rules:
                yield f"{term['value']} hidden"
        if node.get("symbols") and len(node["symbols"]) > 1:
            yield "several variables at once"
        if "domain" in node and node["key"]:
            yield "every with a key"


def _heads(module: dict[str, Any]) -> Iterator[str]:
    for rule in module.get("rules", ()):
        head = rule["head"]
        path, is_part = head["ref"], len(head["ref"]) == 3 and not rule.get("default")
        if len(path) > 1 and not (
            is_part and "key" not in head and head["value"] == {"type": "boolean", "value": True}
        ):
            yield "a head"


def _rule_names(module: dict[str, Any]) -> set[str]:
    return {rule["head"]["ref"][0]["value"] for rule in module.get("rules", ())}


def _outside_the_profile(module: dict[str, Any], own_functions: set[str], rules: set[str]) -> Iterator[str]:
    yield from _hidden(module, rules)
    yield from _heads(module)
    if module.get("imports"):
        yield "import"
    if module["package"]["path"][1]["value"] != "gateway":
        yield "package"
    for node in _nodes(module):
        if node.get("with"):
            yield "with"
        yield from _calls_outside(node, own_functions)
        if node.get("type") == "ref":
            yield from _references_outside(node["value"])
        if node.get("type") == "number" and (isinstance(node["value"], float) or node["value"] >= 2**53):
            yield "number"
        symbols = node.get("symbols")
        if symbols and symbols[0].get("type") == "call" and _ref(symbols[0]["value"][0]) == "internal.member_3":
            yield "key and value"


def _calls_outside(node: dict[str, Any], own_functions: set[str]) -> Iterator[str]:
    for terms in (node.get("terms"), node.get("value") if node.get("type") == "call" else None):
        if isinstance(terms, list) and terms and isinstance(terms[0], dict) and terms[0].get("type") == "ref":
            called = _ref(terms[0])
            if called not in BUILTINS | _OPERATORS | own_functions:
                yield called
            if called == "rem" and terms[2]["value"] != 1:
                yield "rem"


def _references_outside(parts: list[dict[str, Any]]) -> Iterator[str]:
    if any(part["type"] in {"ref", "call"} for part in parts[1:]):
        yield "nested reference"
    if parts[0]["value"] == "data" and (len(parts) < 2 or parts[1]["value"] != "gateway"):
        yield "data"


def _tree(opa_binary: Path, path: Path) -> dict[str, Any]:
    parsed = _opa(opa_binary, "parse", "--format", "json", str(path))
    assert parsed.returncode == 0, parsed.stderr
    tree: dict[str, Any] = json.loads(parsed.stdout)
    return tree


def _own_functions(module: dict[str, Any]) -> set[str]:
    return {rule["head"]["name"] for rule in module["rules"] if rule["head"].get("args")}


def test_opas_own_parser_finds_the_policy_inside_the_profile(opa_binary: Path) -> None:
    paths = [path for path in POLICIES.rglob("*.rego") if not path.name.endswith("_test.rego")]
    trees = [_tree(opa_binary, path) for path in paths]
    functions = set().union(*map(_own_functions, trees))
    assert len(trees) >= 8
    assert {"strings", "whole"} <= functions
    rules = set().union(*map(_rule_names, trees))
    assert [found for tree in trees for found in _outside_the_profile(tree, functions, rules)] == []


@pytest.mark.parametrize("name", sorted(BANNED.keys() - _NOT_SEEN_IN_A_TREE))
def test_the_parsed_tree_shows_what_the_profile_bans(opa_binary: Path, tmp_path: Path, name: str) -> None:
    text = BANNED[name] if BANNED[name].startswith("package") else f"package gateway.access\n\n{BANNED[name]}\n"
    (tmp_path / "x.rego").write_text(text)
    tree = _tree(opa_binary, tmp_path / "x.rego")
    assert list(_outside_the_profile(tree, set(), _rule_names(tree)))

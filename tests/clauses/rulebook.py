"""The clauses that `docs/rulebook.md` says are enforced, and the tests of this folder that are named after them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_PAGE = FOLDER.parents[1] / "docs" / "rulebook.md"
_ROW = re.compile(r"^\| (\d(?:\.\d){1,2}) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
_NAME = re.compile(r"test((?:_\d)+)_[a-z]")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause by its number, its title in the rulebook, and what it asks in one line."""

    number: str
    title: str
    line: str


@cache
def enforced() -> dict[str, Clause]:
    """Every clause of the page's first table, in its order."""
    page = _PAGE.read_text("utf-8")
    table = page.partition("## Enforced")[2].partition("\n## ")[0]
    return {number: Clause(number, title.strip(), line.strip()) for number, title, line in _ROW.findall(table)}


@cache
def tests() -> dict[str, Path]:
    """Every test of this folder by its name, with its file."""
    return {
        node.name: path
        for path in sorted(FOLDER.glob("test_*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def clause_of(test: str) -> str | None:
    """The number of the clause that a test is named after: `test_2_1_1_a_wrong_code_is_refused` shows 2.1.1."""
    named = _NAME.match(test)
    return named and ".".join(named[1].strip("_").split("_"))


def shown_by(clause: str) -> dict[str, Path]:
    """The tests of one clause."""
    return {name: path for name, path in tests().items() if clause_of(name) == clause}

"""`python -m tests.clauses [CLAUSE ...]`: which test shows which clause of the rulebook, and whether it passes.

Ends with 1 if a test fails, or if a clause that `docs/rulebook.md` says is enforced has none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.clauses.rulebook import FOLDER, Clause, enforced, shown_by

_OPTIONS = ("-p", "no:terminal", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib --strict-markers")
_MARK = {"passed": "[green]✔ passed[/]", "failed": "[red]✘ failed[/]", "skipped": "[yellow]– skipped[/]"}
_WIDTH = 140


@dataclass
class Outcomes:
    """A pytest plugin: each test's outcome by its name, with progress while they run."""

    progress: Progress
    by_test: dict[str, str] = field(default_factory=dict)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._task = self.progress.add_task("Clauses", total=len(session.items))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            name = report.location[2].partition("[")[0]
            if self.by_test.get(name, "passed") == "passed":
                self.by_test[name] = report.outcome
        if report.when == "teardown":
            self.progress.advance(self._task)


def main(wanted: Sequence[str]) -> int:
    """Run the tests of these clauses, or of all, and print the table."""
    clauses = {number: clause for number, clause in enforced().items() if not wanted or number in wanted}
    if unknown := set(wanted) - clauses.keys():
        print(f"Not among the enforced clauses of docs/rulebook.md: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    outcomes = _run(clauses, console)
    console.print(_table(clauses, outcomes))
    missing = [number for number in clauses if not shown_by(number)]
    bad = {name for name, outcome in outcomes.items() if outcome == "failed"}
    console.print(
        f"{len(clauses)} clauses, {len(outcomes)} tests, {len(bad)} failed, {len(missing)} clauses without a test"
    )
    return int(bool(bad or missing or not outcomes))


def _run(clauses: Mapping[str, Clause], console: Console) -> dict[str, str]:
    tests = [f"{path}::{name}" for number in clauses for name, path in shown_by(number).items()]
    with Progress(console=console, transient=True) as progress:
        outcomes = Outcomes(progress)
        pytest.main([*_OPTIONS, *tests], plugins=[outcomes])
    ran = {name for number in clauses for name in shown_by(number)}
    return {name: outcomes.by_test.get(name, "failed") for name in ran}


def _table(clauses: Mapping[str, Clause], outcomes: Mapping[str, str]) -> Table:
    table = Table(title=f"The rulebook's clauses, by the tests of {FOLDER.name}/", title_justify="left")
    for heading in ("clause", "条款", "in one line", "shown by", "result"):
        table.add_column(heading, overflow="fold")
    for clause in clauses.values():
        for row in _rows(clause, outcomes):
            table.add_row(*row)
        table.add_section()
    return table


def _rows(clause: Clause, outcomes: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    head: tuple[str, ...] = (clause.number, clause.title, clause.line)
    names = shown_by(clause.number)
    if not names:
        yield (*head, "", "[red]no test[/]")
    for name in names:
        sentence = name.removeprefix(f"test_{clause.number.replace('.', '_')}_").replace("_", " ")
        yield (*head, sentence, _MARK[outcomes[name]])
        head = ("", "", "")


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)

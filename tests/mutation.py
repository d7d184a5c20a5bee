"""`python -m tests.mutation [CASE ...]`: each attack succeeds once its check is gone.

For every case the one line that `tests/attacks/identity/mutations.py` names is changed in a copy of its module, and the
case alone is run against that copy, in a process of its own. A case that stays green has not shown that its check does
anything. First all of them are run unchanged, and must be green.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.attacks.identity.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
GATEWAY = ROOT / "gateway"
CASES = ROOT / "tests" / "attacks" / "identity"
_OPTIONS = (
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib --strict-markers"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_HEAVY = ("asyncpg", "cryptography.x509", "fastapi", "httpx", "hypothesis", "joserfc.jwt", "orjson",
          "pytest_asyncio.plugin", "requests", "sqlalchemy.ext.asyncio", "uvicorn")  # fmt: skip
_PATIENCE_S = 120
_RED, _GREEN, _BROKEN = 1, 0, 2


def cases() -> dict[str, Path]:
    """Every test of the folder by its name, with its file."""
    return {
        node.name: path
        for path in sorted(CASES.glob("test_*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def mutated(mutation: Mutation) -> str:
    """The module's source with the check gone; the text to change stands there exactly once."""
    source = (GATEWAY / mutation.file).read_text("utf-8")
    if source.count(mutation.before) != 1:
        raise SystemExit(f"{mutation.file} has {source.count(mutation.before)} times: {mutation.before}")
    return source.replace(mutation.before, mutation.after)


class _Copy(MetaPathFinder):
    """Finds one module in a copy of it, before anybody looks for the original."""

    def __init__(self, module: str, path: Path) -> None:
        self._module = module
        self._path = path

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(name, self._path) if name == self._module else None


class _Heard:
    """What became of the tests: a failure is one of a test itself, not of what it needs."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.passed += report.passed
            self.failed += report.failed


def _run(names: Sequence[str], mutation: Mutation | None, where: Path) -> None:
    """The body of a process: run the cases, against the copy if there is a mutation; its exit code says how it was."""
    os.chdir(ROOT)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if mutation is not None:
        copy = where / mutation.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(mutated(mutation), "utf-8")
        module = "gateway." + mutation.file.removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, _Copy(module, copy))
    heard, known = _Heard(), cases()
    pytest.main([*_OPTIONS, *(f"{known[name]}::{name}" for name in names)], plugins=[heard])
    if heard.failed:
        os._exit(_RED)
    os._exit(_GREEN if heard.passed == len(names) else _BROKEN)


def outcome(names: Sequence[str], mutation: Mutation | None) -> int:
    """Red, green, or broken: neither, because the tests could not be run."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        process = get_context("fork").Process(target=_run, args=(names, mutation, Path(folder)))
        process.start()
        process.join(_PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        return _BROKEN if process.exitcode is None else process.exitcode


def survivors(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The cases that are not red without their check, with what they are."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, came in zip(names, pool.map(lambda name: outcome([name], MUTATIONS[name]), names), strict=True):
            if came != _RED:
                yield name, "still green" if came == _GREEN else "could not be run"


def main(arguments: Sequence[str]) -> int:
    """Show it for these cases, or for all; 0 if every one is green with its check and red without."""
    known = cases()
    if known.keys() != MUTATIONS.keys():
        print("No mutation, or no case, for:", *sorted(known.keys() ^ MUTATIONS.keys()), sep="\n  ")
        return 1
    names = list(arguments) or list(known)
    for module in _HEAVY:
        importlib.import_module(module)
    assert not any(name.partition(".")[0] == "gateway" for name in sys.modules), "a mutant would not be imported"
    started = time.monotonic()
    if outcome(names, None) != _GREEN:
        print("The cases are not green to begin with.")
        return 1
    survived = dict(survivors(names))
    red = len(names) - len(survived)
    print(f"{len(names)} cases, green with their checks; {red} red without, in {time.monotonic() - started:.0f} s")
    for name, how in survived.items():
        print(f"  {how}: {name} without {MUTATIONS[name].before!r} in {MUTATIONS[name].file}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

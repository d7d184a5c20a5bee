from __future__ import annotations

import re
import subprocess

from tests.rules.sources import ROOT, project_files

_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|`|\$ )make ([a-z]+)\b", re.MULTILINE)


def _targets() -> set[str]:
    return set(_TARGET.findall((ROOT / "Makefile").read_text()))


def test_every_make_command_in_the_pages_exists() -> None:
    pages = {path: path.read_text() for path in project_files() if path.suffix == ".md"}
    named = {command for text in pages.values() for command in _COMMAND.findall(text)}
    assert {"demo", "test"} <= set(_COMMAND.findall((ROOT / "README.md").read_text()))
    assert named - _targets() == set()


def test_make_alone_lists_every_target_that_is_described() -> None:
    listed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {line.split()[1] for line in listed.splitlines() if line.strip().startswith("make ")}
    assert {"install", "demo", "test", "lint", "bench", "stack", "lock", "clean"} <= names <= _targets()


def test_ci_runs_the_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text()
    assert text.rstrip().endswith("\nmake test")
    assert "export CI=true" in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0

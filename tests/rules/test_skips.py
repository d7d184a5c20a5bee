"""What is skipped on a machine that lacks a component fails in CI, so that a green CI has run everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.beside import ABSENT
from tests.rules.sources import ROOT

_MISSING = "Chromium is not installed."
_SKIPPED, _FAILED = "1 skipped", "1 failed"


def _said(folder: Path, text: str, ci: str) -> str:
    probe = folder / "test_probe.py"
    probe.write_text(f"import pytest\n\n{text}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(probe)]
    ran = subprocess.run(
        [*command, "--rootdir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        timeout=120,
    )
    return ran.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("reason", "ci", "told"),
    [
        (_MISSING, "true", _FAILED),
        (_MISSING, "", _SKIPPED),
        (f"{ABSENT}a table is not beside it.", "true", _SKIPPED),
        (f"{_MISSING} {ABSENT}", "true", _FAILED),
    ],
)
def test_a_skip_is_a_failure_in_ci_but_for_what_is_no_part_of_the_project(
    tmp_path: Path, reason: str, ci: str, told: str
) -> None:
    assert told in _said(tmp_path, f"def test_it():\n    pytest.skip({reason!r})", ci)


def test_a_file_that_skips_itself_is_a_failure_in_ci_too(tmp_path: Path) -> None:
    skipping = f"pytest.skip({_MISSING!r}, allow_module_level=True)"
    assert "1 error" in _said(tmp_path, skipping, "true")
    assert _SKIPPED in _said(tmp_path, skipping, "")

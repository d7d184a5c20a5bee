"""What the guards read: the project's files as git sees them, and the gateway's modules parsed."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "gateway"


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted(path for path in files if path.is_file()))


@cache
def modules() -> dict[str, ast.Module]:
    """The gateway's modules by their path below the root, parsed."""
    paths = sorted(path for path in GATEWAY.rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(), str(path)) for path in paths}


def imported(module: ast.Module) -> Iterator[str]:
    """The absolute names that a module imports, at any depth."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def importers(library: str) -> set[str]:
    """The gateway's modules that import a library or a part of it."""
    return {
        path
        for path, module in modules().items()
        if any(name == library or name.startswith(library + ".") for name in imported(module))
    }

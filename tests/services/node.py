"""Node.js, and packages of npm: installed from a lock on demand, kept in `.tools/node` for the next time."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.services.process import ComponentMissing, version_of

_CACHE = Path(__file__).resolve().parents[2] / ".tools" / "node"
_OLDEST = 20
_PATIENCE_S = 180


def binary() -> str:
    """The `node` on PATH, version 20 or newer; raises `ComponentMissing`."""
    path = shutil.which("node")
    if path is None:
        raise ComponentMissing("Node.js is not installed (Debian: apt-get install nodejs npm).")
    if int(re.sub(r"\D.*", "", version_of(path, "--version").lstrip("v"))) < _OLDEST:
        raise ComponentMissing(f"Node.js is older than {_OLDEST}.")
    return path


def version() -> str:
    """As `Node.js 22.23.3`; raises `ComponentMissing`."""
    return f"Node.js {version_of(binary(), '--version').lstrip('v')}"


def installed(folder: Path) -> Path:
    """A copy of a folder with a `package-lock.json`, and with what the lock names, each package checked by its hash.

    Raises `ComponentMissing` where Node.js, npm or the registry cannot be reached.
    """
    binary()
    lock = (folder / "package-lock.json").read_bytes()
    copy = _CACHE / f"{folder.name}-{sha256(lock).hexdigest()[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock_file:  # tests run in several processes
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not (copy / "installed").exists():
            _install(folder, copy)
        for script in folder.glob("*.mjs"):
            if not (copy / script.name).exists() or (copy / script.name).read_bytes() != script.read_bytes():
                shutil.copy(script, copy)
    return copy


def _install(folder: Path, copy: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ComponentMissing("npm is not installed (Debian: apt-get install npm).")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(folder / name, copy)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise ComponentMissing(f"npm could not install {folder.name}: no answer in {_PATIENCE_S} s.") from None
    if done.returncode != 0:
        raise ComponentMissing(f"npm could not install {folder.name}: {done.stderr.strip()[-300:]}")
    (copy / "installed").touch()


def run(
    script: Path, *arguments: str, timeout_s: float = 120, node: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a script of an installed folder."""
    alone = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    return subprocess.run(
        [*(node or [binary()]), script.name, *arguments],
        cwd=script.parent, env=alone, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from tests.rules.sources import ROOT

_LOCKS = ("requirements.lock", "deploy/requirements.lock")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def _pins(lock: str) -> dict[str, str]:
    """Each requirement of a lock, `name==version; marker`, with the hashes that follow it."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return {line.split("--hash=")[0].strip(): line for line in text.splitlines() if line.strip()}


_APART = {"psi": "requirements-psi.lock"}
"""Extras whose wheels exist for few machines: in the one lock they would keep everybody else from installing it."""


@pytest.mark.parametrize("lock", [*_LOCKS, *_APART.values()])
def test_every_requirement_is_pinned_with_hashes(lock: str) -> None:
    pins = _pins(lock)
    assert len(pins) > (1 if lock in _APART.values() else 30)
    assert [pin for pin, line in pins.items() if "==" not in pin or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("lock", [*_LOCKS, *_APART.values()])
def test_a_lock_holds_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"\w+://\S+|--index|--find-links|@ ", text) == []


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_what_is_installed_is_the_lock_and_nothing_beside_it(file: str) -> None:
    """Without `--no-deps` pip looks for `coverage[toml]` beside the pinned `coverage`, finds a newer one and stops."""
    installing = [line for line in (ROOT / file).read_text().splitlines() if "install" in line and ".lock" in line]
    from_lock = [line for line in installing if " -r " in line]
    assert len(from_lock) == (1 + len(_APART) if file == "Makefile" else 1)
    assert all("--no-deps --require-hashes" in line for line in from_lock)


def test_the_lock_holds_every_dependency() -> None:
    extras = {name: extra for name, extra in _PROJECT["optional-dependencies"].items() if name not in _APART}
    wanted = [*_PROJECT["dependencies"], *(requirement for extra in extras.values() for requirement in extra)]
    assert len(wanted) > 20
    locked = {_name(pin) for pin in _pins("requirements.lock")}
    assert {_name(requirement) for requirement in wanted} - locked == set()


@pytest.mark.parametrize(("extra", "lock"), _APART.items())
def test_a_lock_apart_holds_its_extra_and_nothing_that_the_other_lock_pins(extra: str, lock: str) -> None:
    apart = {_name(pin) for pin in _pins(lock)}
    assert {_name(requirement) for requirement in _PROJECT["optional-dependencies"][extra]} <= apart
    assert apart & {_name(pin) for pin in _pins("requirements.lock")} == set()


def test_production_runs_the_versions_that_were_tested() -> None:
    tested, deployed = set(_pins("requirements.lock")), set(_pins("deploy/requirements.lock"))
    pins = {pin.split(";")[0].strip() for pin in deployed}
    assert pins - {pin.split(";")[0].strip() for pin in tested} == set()
    assert not {"pytest", "mypy", "ruff", "faker"} & {_name(pin) for pin in deployed}


_IMPORT = """
import sys
import gateway.cli, gateway.web
from importlib.metadata import packages_distributions
owners = packages_distributions()
print(*{owner for name in sys.modules if "." not in name for owner in owners.get(name, ())})
"""


def test_what_the_gateway_imports_is_in_the_production_lock() -> None:
    ran = subprocess.run([sys.executable, "-c", _IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {_name(owner) for owner in ran.stdout.split()} - {_name(_PROJECT["name"])}
    assert len(imported) > 15
    assert imported - {_name(pin) for pin in _pins("deploy/requirements.lock")} == set()

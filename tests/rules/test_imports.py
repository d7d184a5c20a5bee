from __future__ import annotations

import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.rules.sources import GATEWAY, ROOT, importers, modules

_CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

_DOORS = {
    "joserfc": ("gateway/identity/*", "gateway/ledger/receipts.py"),
    "cryptography": ("gateway/vault/*", "gateway/ledger/*", "gateway/identity/*", "gateway/demo/inbox.py"),
    "regopy": ("gateway/policy/*",),
    "opa_client": ("gateway/policy/opa.py",),
    "authlib": ("gateway/identity/operators/*",),
    "webauthn": ("gateway/identity/operators/passkeys.py",),
    "requests": ("gateway/identity/operators/provider.py", "gateway/demo/*"),
    "jinja2": ("gateway/console/pages.py",),
    "fastapi": (
        "gateway/console/*",
        "gateway/*/*routes.py",
        "gateway/app.py",
        "gateway/web.py",
        "gateway/problems.py",
        "gateway/parameters.py",
    ),
    "aiohttp": ("gateway/identity/key_set_client.py", "gateway/identity/outward.py"),
    "asyncpg": ("gateway/database/*",),
    "alembic": ("gateway/migrations/*",),
    "private_set_intersection": ("gateway/overlap/worker.py",),
}


def _exists(module: str) -> bool:
    path = GATEWAY.parent / Path(*module.split("."))
    return path.with_suffix(".py").is_file() or any(path.glob("*.py"))


def _named(contract: dict[str, list[str]]) -> list[str]:
    layers = [part.strip() for layer in contract.get("layers", []) for part in layer.split("|")]
    return [
        *(f"gateway.{layer}" for layer in layers),
        *contract.get("source_modules", []),
        *contract.get("protected_modules", []),
        *contract.get("allowed_importers", []),
    ]


def test_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    said = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(_CONTRACTS)} kept, 0 broken" in said.stdout


@pytest.mark.parametrize("contract", _CONTRACTS, ids=lambda contract: contract["name"])
def test_a_contract_speaks_of_modules_that_exist(contract: dict[str, list[str]]) -> None:
    named = _named(contract)
    assert named
    assert [module for module in named if not _exists(module)] == []


@pytest.mark.parametrize(("library", "door"), _DOORS.items(), ids=_DOORS)
def test_a_library_has_one_door(library: str, door: tuple[str, ...]) -> None:
    seen = importers(library)
    assert seen, f"nothing imports {library}: the guard would see nothing"
    assert {path for path in seen if not any(fnmatch(path, pattern) for pattern in door)} == set()


def test_only_the_enforcement_point_and_the_composition_root_import_the_opening_vault() -> None:
    assert importers("gateway.vault.vault") == {"gateway/access/enforcement.py", "gateway/app.py"}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {(ROOT / path).parent for path in modules()}
    assert len(folders) > 10
    without = [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").is_file()]
    assert [folder for folder in without if folder != "gateway/migrations/versions"] == []

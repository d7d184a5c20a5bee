"""A real OPA: found on this machine, else built by Go at the pinned version; and a server with our bundle.

`python -m tests.services.opa check` checks, formats and tests the policies; `… bundle FILE` writes their bundle.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from gateway.policy.bundle import load_bundle
from tests.services.process import ComponentMissing, Service, ServiceFailed

VERSION = "1.19.1"
ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"
LEAST_COVERAGE = 95.0
_GUARD = ROOT / "deploy" / "opa"
_OLDEST = (1, 9)
_BUILT = ROOT / ".tools" / "bin" / "opa"
_REMEDY = f"put opa {VERSION} on PATH, name it in GATEWAY_OPA, or install Go so that the tests can build it"


@cache
def found() -> Path | None:
    """The `opa` to use if one is already here: GATEWAY_OPA, PATH, then what we built. Nothing is fetched."""
    named = os.environ.get("GATEWAY_OPA")
    if named:
        if not Path(named).is_file():
            raise ComponentMissing(f"GATEWAY_OPA names {named}, which is not a file.")
        return Path(named)
    for candidate in (shutil.which("opa"), str(_BUILT)):
        if candidate and Path(candidate).is_file() and _number(Path(candidate)) >= _OLDEST:
            return Path(candidate)
    return None


def binary() -> Path:
    """The `opa` to use, built by `go install` when there is none; raises `ComponentMissing`."""
    here = found()
    if here is None:
        here = _build()
        found.cache_clear()
    return here


def _build() -> Path:
    go = shutil.which("go")
    if go is None:
        raise ComponentMissing(f"OPA is not here: {_REMEDY}.")
    environment = os.environ | {"GOBIN": str(_BUILT.parent), "CGO_ENABLED": "0"}
    package = f"github.com/open-policy-agent/opa@v{VERSION}"
    built = subprocess.run([go, "install", package], env=environment, capture_output=True, text=True, check=False)
    if built.returncode != 0 or not _BUILT.is_file():
        raise ComponentMissing(f"OPA could not be built ({built.stderr.strip()[-500:]}): {_REMEDY}.")
    return _BUILT


def version(opa: Path) -> str:
    """As `1.19.1`."""
    said = subprocess.run([opa, "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return said.splitlines()[0].removeprefix("Version:").strip()


def _number(opa: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in version(opa).split("-")[0].split("."))


def write_bundle(target: Path, policies: Path = POLICIES) -> str:
    """Write the rules of `policies` as the bundle that production loads; the answer is its revision, their digest."""
    bundle = load_bundle(policies)
    target.write_bytes(bundle.archive())
    target.chmod(0o644)
    return bundle.digest


class OPA(Service):
    """An OPA server on loopback that holds the bundle of `policies`.

    With `token` it is guarded as in production: it answers the token's bearer, and with decisions alone.
    """

    name = "OPA"

    def __init__(self, opa: Path | None = None, *, policies: Path = POLICIES, token: str | None = None) -> None:
        super().__init__()
        self._opa = opa or binary()
        self._policies = policies
        self._token = token
        self.bundle = self.directory / "bundle.tar.gz"
        self.digest = ""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self.digest = write_bundle(self.bundle, self._policies)
        if self._token is not None:
            caller = Path(shutil.copytree(_GUARD / "caller", self.directory / "caller"))
            (caller / "data.json").touch(mode=0o600)
            (caller / "data.json").write_text(json.dumps({"caller": {"token": self._token}}))

    def command(self) -> Sequence[str]:
        return [
            *(str(self._opa), "run", "--server", "--addr", f"127.0.0.1:{self.port}"),
            *("--skip-version-check", "--log-level", "error", "--bundle", str(self.bundle)),
            *(self._guard() if self._token is not None else ()),
        ]

    def _guard(self) -> Sequence[str]:
        """With `--bundle`, every further path is a bundle too."""
        bundles = [str(_GUARD / "authorisation"), str(self.directory / "caller")]
        return ["--authentication=token", "--authorization=basic", *bundles]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health?bundles=true", timeout=2) as answer:
                healthy: bool = answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
        return healthy


def check_policies(opa: Path, policies: Path = POLICIES) -> float:
    """`opa check --strict`, `opa fmt` and `opa test`; raises `ServiceFailed` with what they said.

    Returns how much of the rules the tests cover, in percent: at least `LEAST_COVERAGE`.
    """
    folders = [str(policies), str(ROOT / "deploy" / "opa")]
    for name, command in {
        "check": ["check", "--strict", *folders],
        "fmt": ["fmt", "--fail", "--list", *folders],
        "test": ["test", str(policies), "--timeout", "60s"],
    }.items():
        said = subprocess.run([str(opa), *command], capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise ServiceFailed(f"opa {name}:\n{said.stdout}{said.stderr}")
    return _coverage(opa, policies)


def _coverage(opa: Path, policies: Path) -> float:
    command = [str(opa), "test", str(policies), "--coverage", "--timeout", "60s"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    covered = float(report["coverage"])
    if covered < LEAST_COVERAGE:
        missing = {Path(file).name: part.get("not_covered") for file, part in report["files"].items()}
        raise ServiceFailed(f"opa test covers {covered} %, not {LEAST_COVERAGE} %: {json.dumps(missing)}")
    return covered


def main(task: str, target: str = "") -> None:
    """`check` the policies, or write the `bundle` to a file. Without OPA the check says so, and fails in CI."""
    if task == "bundle":
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        print(f"{target}: policy {write_bundle(Path(target))}")
        return
    try:
        opa = binary()
        covered = check_policies(opa)
    except ComponentMissing as missing:
        if os.environ.get("CI") == "true":
            sys.exit(str(missing))
        print(f"policies not checked: {missing}")
    except ServiceFailed as failed:
        sys.exit(str(failed))
    else:
        print(f"OPA {version(opa)}: the policies pass check --strict, fmt and test; tested rules: {covered:g} %")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Both engines, asked about given documents by the rules of a given folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.policy import load_bundle
from gateway.policy.rego import compile_bundle
from tests.policy.embedded import decide
from tests.services.opa import binary

Ask = Callable[[Path, Sequence[Mapping[str, Any]]], list[dict[str, Any]]]


def by_regopy(policies: Path, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The embedded engine's answers."""
    rules = compile_bundle(load_bundle(policies))
    return [decide(rules, case) for case in cases]


def by_opa(policies: Path, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The answers of the `opa` command."""
    return [_evaluated(policies, case) for case in cases]


def _evaluated(policies: Path, case: Mapping[str, Any]) -> dict[str, Any]:
    command = [str(binary()), "eval", "--data", str(policies), "--stdin-input", "--format", "json"]
    said = subprocess.run(
        [*command, "data.gateway.access.decision"], input=json.dumps(case), capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(said.stdout)["result"][0]["expressions"][0]["value"]
    return answer


ENGINES: Final[Mapping[str, Ask]] = {"regopy": by_regopy, "opa": by_opa}

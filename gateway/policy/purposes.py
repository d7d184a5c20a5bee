"""The registry of purposes (clause 1.1), read from the rules themselves: it is written once, in `policies/`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from regopy import Interpreter

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.policy.bundle import load_bundle

_REGISTRY = "data.gateway.access.purposes"


@lru_cache(maxsize=8)
def registered_purposes(policies: Path) -> frozenset[str]:
    """The purposes that the policy in this folder knows, as a process knows them that has loaded it.

    Raises:
        Invalid: The policy has no registry of purposes.
    """
    interpreter = Interpreter()
    for module in load_bundle(policies).modules:
        interpreter.add_module(module.path, module.text)
    match parse(str(interpreter.query(_REGISTRY)).encode()):
        case {"expressions": [[*names]]} if names and all(isinstance(name, str) for name in names):
            return frozenset(names)
    raise Invalid(
        "policy_invalid", "The policy has no registry of purposes.", remedy=f"Define {_REGISTRY} as a set of strings."
    )

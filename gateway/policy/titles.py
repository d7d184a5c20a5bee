"""What the rules say of themselves: the title and the clause in the METADATA above each requirement."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.policy.bundle import PolicyBundle

_REQUIREMENT = re.compile(
    r"# METADATA\n# title: (?P<title>[^\n]+)\n(?:#[^\n]*\n)*?#   clause: \"(?P<clause>[0-9.]+)\"\n"
    r"requirement\.(?P<code>[A-Z_]+)\.met if"
)


class Rule(NamedTuple):
    """The rule that a requirement is: its title in English, its clause, the file that states it."""

    title: str
    clause: str
    file: str


def rules_by_code(bundle: PolicyBundle) -> dict[str, Rule]:
    """The rule of each requirement's code; of several that state one, the first."""
    found: dict[str, Rule] = {}
    for module in bundle.modules:
        for rule in _REQUIREMENT.finditer(module.text):
            found.setdefault(rule["code"], Rule(rule["title"], rule["clause"], module.path))
    return found

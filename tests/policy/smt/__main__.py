"""`python -m tests.policy.smt [FOLDER]`: prove every claim about the rules of a folder, `policies/` if none is named.

Exit code 1, and a test to save and run, if a claim does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.policy.smt.claims import CLAIMS
from tests.policy.smt.printed import as_test
from tests.policy.smt.prove import Verdict, is_satisfiable, prove
from tests.policy.smt.syntax import Untranslatable, read_rules
from tests.services.opa import POLICIES, binary
from tests.services.process import ComponentMissing


def main(policies: Path = POLICIES) -> int:
    """Print each claim and whether it is proven; 0 if all are."""
    try:
        rules = read_rules(binary(), policies)
        if not is_satisfiable(rules):
            print("The policy permits nothing at all: whatever is claimed of its permits says nothing.")
            return 1
        return max([_told(prove(rules, claim), policies) for claim in CLAIMS])
    except Untranslatable as refused:
        print(f"Outside what can be proven: {refused}")
        return 1


def _told(verdict: Verdict, policies: Path) -> int:
    claim = verdict.claim
    if verdict.proven:
        print(f"proven for all inputs   {claim.name} ({claim.clause})")
        return 0
    if not verdict.cases:
        print(f"NEITHER PROVEN NOR BROKEN   {claim.name} ({claim.clause})")
        return 1
    print(f"BROKEN   {claim.name} ({claim.clause}); save this as tests/policy/test_found.py and run it:\n")
    print(as_test(verdict, policies))
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(*map(Path, sys.argv[1:])))
    except ComponentMissing as missing:
        sys.exit(str(missing))

"""The attacks on identity are many, each names the check it meets, and without that check it is red.

Here that is shown for some of them; `make mutation` shows it for all.
"""

from __future__ import annotations

import subprocess
import sys

from tests.attacks.identity.mutations import MUTATIONS
from tests.mutation import ROOT, cases, mutated

SAMPLE = (
    "test_assertion_stolen_and_used_at_another_process",
    "test_proof_of_a_thief_over_a_stolen_token",
    "test_token_after_it_was_revoked",
)
_DECEIVED = """
from tests import mutation
from tests.attacks.identity.mutations import Mutation
name = "test_request_for_a_scope"
mutation.MUTATIONS[name] = Mutation("identity/endpoint.py", "RESOURCE", "RESOURCE")
print(list(mutation.survivors([name])))
"""


def _said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def test_each_of_many_attacks_names_the_one_place_that_stops_it() -> None:
    assert len(cases()) >= 60
    assert cases().keys() == MUTATIONS.keys()
    for name, mutation in MUTATIONS.items():
        compile(mutated(mutation), name, "exec")


def test_without_its_check_an_attack_succeeds() -> None:
    done = _said("-m", "tests.mutation", *SAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{len(SAMPLE)} cases, green with their checks; {len(SAMPLE)} red without")


def test_a_change_that_takes_no_check_away_is_told() -> None:
    done = _said("-c", _DECEIVED)
    assert done.stdout.strip() == "[('test_request_for_a_scope', 'still green')]", done.stderr

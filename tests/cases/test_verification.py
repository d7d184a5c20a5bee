"""The folder of a case names its evidence by digests, and nothing outside itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.canonical import canonical
from gateway.cases.verification import verify_case
from gateway.ledger.verify import Outcome


@pytest.mark.parametrize("name", ["", "..", "/dev/null", "a" * 5000, "A" * 64, "a" * 63, 7, None, {}])
def test_evidence_that_no_digest_names_is_no_evidence_of_a_case(tmp_path: Path, name: object) -> None:
    digest = "0" * 64
    named = {"case": "c", "claim_sha256": digest, "terms_sha256": digest, "evidence": [{"name": "n", "sha256": name}]}
    (tmp_path / "manifest.json").write_bytes(canonical(named))
    report = verify_case(tmp_path, "nonsense")
    assert (report.outcome, report.findings) == (Outcome.TAMPERED, ("The manifest cannot be read as one.",))

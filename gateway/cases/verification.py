"""Checks the folder of a case offline, trusting nothing but the log's public key.

The extract of the log must hold; an entry of it must name the manifest's digest; and the manifest must name the
digest of everything else. Evidence that a party kept is checked where it lies in the folder under its digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.canonical import parse_canonical
from gateway.errors import Invalid
from gateway.ledger.bundle import CONTENTS, BundleReader
from gateway.ledger.verify import Outcome, verify

EXTRACT: Final = "extract.zip"
CLAIM: Final = "claim.txt"
TERMS: Final = "terms.json"
_MANIFEST: Final = "manifest.json"
_LONGEST: Final = 1 << 20
_FRAME: Final = 2
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The outcome, the sentences behind it, and the case that the manifest is of ('' if it could not be read)."""

    outcome: Outcome
    findings: tuple[str, ...]
    case: str


def verify_case(folder: Path, vkey: str) -> CaseReport:
    """Verify a case's folder with the log's public key (a vkey). Never raises on malformed input.

    `tampered` wins over `incomplete`, which means that something is not there or the key is not trusted.
    """
    try:
        text = _read(folder / _MANIFEST)
        about = parse_canonical(text)
        named = {CLAIM: str(about["claim_sha256"]), TERMS: str(about["terms_sha256"])}
        case, evidence = str(about["case"]), [_digest(one["sha256"]) for one in about["evidence"]]
    except (Invalid, KeyError, TypeError, AttributeError):
        return CaseReport(Outcome.TAMPERED, ("The manifest cannot be read as one.",), "")
    except OSError:
        return CaseReport(Outcome.INCOMPLETE, ("There is no manifest.",), "")
    altered: list[str] = []
    missing: list[str] = []
    for name, digest in named.items():
        _compare(folder / name, digest, altered, missing)
    for digest in evidence:
        if (folder / digest).exists():
            _compare(folder / digest, digest, altered, missing)
    extract = verify(folder / EXTRACT, vkey)
    if extract.outcome is Outcome.TAMPERED:
        altered += extract.findings
    elif extract.outcome is Outcome.INCOMPLETE:
        missing += extract.findings
    if extract.outcome is not Outcome.TAMPERED and not _is_named(folder / EXTRACT, case, text):
        missing.append("No entry of the extract names this manifest.")
    outcome = Outcome.TAMPERED if altered else Outcome.INCOMPLETE if missing else Outcome.OK
    return CaseReport(outcome, (*altered, *missing), case)


def _digest(text: str) -> str:
    """A digest, which names a file of the folder and none elsewhere; `Invalid` for anything else."""
    if not _DIGEST.fullmatch(text):
        raise Invalid("case_manifest", "A digest is 64 hexadecimal characters.", field="/evidence")
    return text


def _compare(path: Path, digest: str, altered: list[str], missing: list[str]) -> None:
    try:
        with path.open("rb") as file:  # whole: evidence is as long as it is
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                altered.append(f"{path.name} is not what the manifest names.")
    except OSError:
        missing.append(f"{path.name} cannot be read.")


def _is_named(extract: Path, case: str, text: bytes) -> bool:
    """Whether an entry says that this case was escalated with this manifest."""
    digest = hashlib.sha256(text).hexdigest()
    try:
        with extract.open("rb") as file:
            reader = BundleReader(file)
            checkpoint, hashes, bodies, _ = CONTENTS
            for before in (checkpoint, hashes):
                for _chunk in reader.chunks(before):
                    pass
            framed = b"".join(reader.chunks(bodies))
    except (OSError, Invalid):
        return False
    return any(
        entry.get("act") == "case_escalated" and entry.get("case") == case and entry.get("manifest_sha256") == digest
        for entry in _entries(framed)
    )


def _entries(framed: bytes) -> list[dict[str, Any]]:
    found, start = [], 0
    while start + _FRAME <= len(framed):
        end = start + _FRAME + int.from_bytes(framed[start : start + _FRAME], "big")
        found.append(json.loads(framed[start + _FRAME : end]))
        start = end
    return found


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)

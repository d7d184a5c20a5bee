"""Archives as an owner packs them, and as somebody else would."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from gateway.consents.offline.sheet import COLUMNS

SCAN = b"%PDF-1.4 a scanned form"
SCAN_SHA256 = hashlib.sha256(SCAN).hexdigest()


def manifest(evidence: Mapping[str, bytes]) -> bytes:
    """As `sha256sum` writes it."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in evidence.items()).encode()


def sheet(rows: Iterable[Mapping[str, str]], columns: Iterable[str] = COLUMNS) -> bytes:
    """CSV with a header."""
    names = list(columns)
    lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]
    return ("\r\n".join(lines) + "\r\n").encode()


def packed(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of these files."""
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def archive(rows: bytes, evidence: Mapping[str, bytes], listed: Mapping[str, bytes] | None = None) -> bytes:
    """A whole archive; `listed` is what the manifest lists, where that is something else."""
    files = {"consents.csv": rows, "MANIFEST.sha256": manifest(evidence if listed is None else listed)}
    return packed(files | dict(evidence))

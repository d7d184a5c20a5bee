"""What a forum is given about a case (clause 7.2.2): a folder that proves itself offline.

`extract.zip` is a stretch of the owner's log, exported by the permit of two operators, as every log that leaves.
`manifest.json` names everything else by its SHA-256, and its own digest stands in an entry of that stretch.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.access.export_permits import Extract
from gateway.access.exports import Exports
from gateway.agreements import Agreements
from gateway.cases.cases import Cases
from gateway.cases.disputes import MANIFEST
from gateway.cases.verification import CLAIM, EXTRACT, TERMS
from gateway.errors import Conflicting, NotFound
from gateway.finishing import finished
from gateway.ledger.bundle import Manifest

_MODE: Final = 0o700


class CaseBundles:
    """Writes the folder; `operator` is who acts, as the entries say."""

    def __init__(self, cases: Cases, agreements: Agreements, exports: Exports) -> None:
        self._cases = cases
        self._agreements = agreements
        self._exports = exports

    async def write(self, case_id: str, wanted: Extract, out: Path, *, permit: str, operator: str) -> Manifest:
        """Write the bundle of an escalated case to the new folder `out`, with the extract that `permit` allows.

        `Conflicting` for a case that was not escalated, for an extract of another log, and for a folder that is
        there already; else as `Exports.write`. Whatever keeps it from being whole leaves no folder.
        """
        view = await self._cases.view(await self._cases.find(case_id))
        texts = {one.name: one.content for one in view.evidence if one.content is not None}
        found = await self._agreements.load(view.case.agreement or "")
        if MANIFEST not in texts or found is None:
            raise Conflicting("case_not_escalated", "There is a bundle of what goes before a forum.", field="case")
        if wanted.log != view.case.log:
            raise Conflicting("another_log", "The case's entries stand in another log.", field="log")
        files = {MANIFEST: texts[MANIFEST].encode(), CLAIM: view.case.claim.encode(), TERMS: found.text}
        await asyncio.to_thread(_make, out)
        try:
            manifest = await self._exports.write(wanted, out / EXTRACT, permit=permit, operator=operator)
            await finished(asyncio.to_thread(_write, out, files))
        except BaseException:
            await finished(asyncio.to_thread(shutil.rmtree, out))
            raise
        return manifest

    async def log_of(self, case_id: str) -> str:
        """The log that a case's entries stand in; `NotFound` for no case."""
        found = await self._cases.find(case_id)
        if found.agreement is None:
            raise NotFound
        return found.log


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (out / name).write_bytes(content)


def _make(out: Path) -> None:
    try:
        out.mkdir(mode=_MODE)
    except FileExistsError:
        raise Conflicting("folder_exists", "The folder is there already.", field="out") from None

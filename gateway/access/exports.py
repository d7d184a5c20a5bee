"""Logs leave the gateway as bundles, by a permit of two operators. Every attempt is on record, done or refused.

An entry stands before anything is read, and another, with the bundle's SHA-256, before the bundle has its name:
the log may claim more than anybody received, and never less.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

from gateway.access.export_permits import Extract, objection
from gateway.approvals import Approvals
from gateway.clock import Clock
from gateway.database import Database
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.identifiers import random_id
from gateway.ledger import Draft, Effect, Kind, Ledger
from gateway.ledger.bundle import Manifest
from gateway.ledger.export import Progress, export
from gateway.ledger.integrator import Integrator
from gateway.ledger.stored import state

_ID = re.compile("[0-9a-f]{32}")
_REMEDY = "Propose it (`gateway admin export-log`), have another operator approve it, and name it as --permit."


class Exports:
    """Writes bundles for whoever holds a permit. `operator` is who acts, as the entries say."""

    def __init__(
        self, database: Database, ledger: Ledger, integrator: Integrator, approvals: Approvals, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._integrator = integrator
        self._approvals = approvals
        self._clock = clock

    async def write(
        self, wanted: Extract, out: Path, *, permit: str, operator: str, progress: Progress | None = None
    ) -> Manifest:
        """Write the extract to `out`, by the proposal `permit` that two operators agreed on.

        Raises:
            Refused: No such permit, one for another log or range, or one that has expired; on record.
            GatewayError: As `ledger.export.export`; then `out` is as it was.
        """
        about = {"actor": {"operator": operator}, **wanted.range(), "permit": permit if _ID.fullmatch(permit) else ""}
        if (code := await self._objection(wanted, permit)) is not None:
            raise await self._refusal(code, wanted, about)
        await self._enter(wanted, {"act": "log_export_begun", **about})
        await self._integrator.integrate(wanted.log)
        draft = out.with_name(f"{out.name}.{random_id()}")  # nobody else writes there
        try:
            manifest = await self._write(wanted, draft, progress)
            size, digest = await asyncio.to_thread(_measured, draft)
            counted = {"entries": manifest.entries, "tree_size": manifest.size, "bytes": size, "sha256": digest}
            await self._enter(wanted, {"act": "log_exported", **about, **counted})
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
        return manifest

    async def _write(self, wanted: Extract, draft: Path, progress: Progress | None) -> Manifest:
        async with self._database.reading() as snapshot:
            newest = (await state(snapshot, wanted.log)).signed_size - 1
            last = newest if wanted.last is None else wanted.last
            return await export(snapshot, wanted.log, wanted.first, last, draft, progress=progress)

    async def _objection(self, wanted: Extract, permit: str) -> str | None:
        if not _ID.fullmatch(permit):
            return "NO_EXPORT_PERMIT"
        try:
            proposal = await self._approvals.find(permit)
        except (NotFound, Conflicting):
            return "NO_EXPORT_PERMIT"
        return await objection(self._database, wanted, proposal, self._clock())

    async def _refusal(self, code: str, wanted: Extract, about: dict[str, Any]) -> Refused:
        reasons = (Reason(code),)
        facts = {"act": "log_not_exported", **about}
        draft = Draft(log=wanted.log, kind=Kind.QUERY, effect=Effect.DENY, reasons=reasons, facts=facts)
        return Refused(reasons, event_id=(await self._ledger.record(draft)).event_id, remedy=_REMEDY)

    async def _enter(self, wanted: Extract, facts: dict[str, Any]) -> None:
        await self._ledger.record(Draft(log=wanted.log, kind=Kind.QUERY, facts=facts))


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()

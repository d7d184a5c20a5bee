"""Writes a stretch of a log as a bundle that anyone with the log's public key verifies offline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.canonical import canonical, parse_canonical
from gateway.database import Reading
from gateway.errors import Invalid
from gateway.ledger.bundle import CONTENTS, MANIFEST, BundleWriter, Manifest
from gateway.ledger.stored import LogState, StoredHashes, entries, framed, state

_ENTRIES = 256
_HASHES = 4096

Progress = Callable[[int, int], None]
"""Called with how many entries are done, and of how many."""


async def export(
    reading: Reading, log: str, first: int, last: int, path: Path, *, progress: Progress | None = None
) -> Manifest:
    """Write entries `first`..`last` (both included) and what proves them to `path`, in one step at the end.

    The bundle shows the newest signed checkpoint: all leaf hashes up to its size, so that omissions show
    and consistency with any checkpoint seen earlier can be recomputed. `reading` must be one snapshot.

    Raises:
        Invalid: Nothing is signed yet, or the range is not within the signed size.
        TooLarge: The bundle would reach 4 GiB.
        UnknownLog, LedgerRolledBack: No such log; rows are missing.
    """
    signed = await state(reading, log)
    if not signed.note or not 0 <= first <= last < signed.signed_size:
        raise Invalid(
            "range_not_signed",
            f"Entries 0 to {signed.signed_size - 1} are signed.",
            field="last",
            remedy="Wait a second for the next checkpoint, or ask for fewer.",
        )
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as file:
            manifest = await _write(BundleWriter(file), reading, signed, range(first, last + 1), progress)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


async def _write(
    bundle: BundleWriter, reading: Reading, signed: LogState, wanted: range, progress: Progress | None
) -> Manifest:
    checkpoint, leaf_hashes, bodies, details = CONTENTS
    bundle.begin(checkpoint)
    bundle.write(signed.note)
    bundle.begin(leaf_hashes)
    reader = StoredHashes(reading, signed.log)
    for start in range(0, signed.signed_size, _HASHES):
        hashes = await reader.hashes(0, start, min(_HASHES, signed.signed_size - start))
        await asyncio.to_thread(bundle.write, b"".join(hashes))
    beside: list[int] = []
    bundle.begin(bodies)
    for start in wanted[::_ENTRIES]:
        rows = await entries(reading, signed.log, start, min(_ENTRIES, wanted.stop - start))
        beside += [row["idx"] for row in rows if row["detail"] is not None]
        await asyncio.to_thread(bundle.write, b"".join(framed(row["body"]) for row in rows))
        if progress is not None:
            progress(start + len(rows) - wanted.start, len(wanted))
    bundle.begin(details)
    for index in beside:
        (row,) = await entries(reading, signed.log, index, 1)
        line = canonical({"detail": parse_canonical(bytes(row["detail"])), "index": index}) + b"\n"
        await asyncio.to_thread(bundle.write, line)
    bundle.end()
    manifest = Manifest(
        origin=signed.origin,
        size=signed.signed_size,
        first=wanted.start,
        last=wanted[-1],
        entries=len(wanted),
        details=len(beside),
        files=dict(bundle.digests),
    )
    bundle.begin(MANIFEST)
    bundle.write(manifest.encode())
    bundle.finish()
    return manifest

"""What an import of offline consents costs: `python -m bench.offline_consents [ROWS]`, 100,000 by default.

A gateway on a real SQLite file, one archive of that many forms (their evidence is listed, not enclosed), in this
process and without HTTP. The dry run and the import are each timed once, from the archive's bytes to the report.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.access.world import MovableClock, Shared
from tests.alliance import PERSONAL_SCHEMA, founded, instant
from tests.offline.packing import SCAN_SHA256, packed, sheet

ROWS = 100_000
GOAL = 5_000
_console = Console()


async def measure(folder: Path, count: int) -> None:
    """Import so many rows and print rows per second."""
    clock = MovableClock()
    async with founded(folder, clock) as alliance:
        shared = Shared(alliance, clock)
        bank, hotel = shared.bank, shared.hotel
        dataset = await bank.declare(PERSONAL_SCHEMA)
        notice = await bank.notice(dataset, hotel)
        given = instant(datetime.fromtimestamp(bank.now - 600, UTC))
        same = {"recipient": hotel.id, "purpose": "customer_referral", "fields": "name phone", "notice_sha256": notice}
        same |= {"given": given, "staff": "S-17", "store": "3"}
        rows = ({"subject": f"C{n:06}", "evidence": f"scans/{n}.pdf", **same} for n in range(count))
        listed = "".join(f"{SCAN_SHA256}  scans/{n}.pdf\n" for n in range(count)).encode()
        body = packed({"consents.csv": sheet(rows), "MANIFEST.sha256": listed})
        token = await bank.token()
        await bank.get("/v1/datasets", token)  # for a fresh nonce
        subject = await shared.subject(bank, token)
        for dry_run in (True, False):
            cpu, begun = time.process_time(), time.perf_counter()
            told = await alliance.gateway.offline.batches.receive(
                subject, dataset, body, dry_run=dry_run, all_or_nothing=False
            )
            took, used = time.perf_counter() - begun, time.process_time() - cpu
            assert f'"accepted":{count},"refused":0'.encode() in told, told[:300]
            what = "dry run" if dry_run else "import"
            _console.print(
                f"{what}: {count} rows in {took:.1f} s, {count / took:,.0f} rows/s "
                f"({used / count * 1e6:.0f} µs of CPU a row; goal of the import {GOAL:,} rows/s)",
                highlight=False,
            )


def main() -> None:
    """Measure in a temporary folder."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), count))
    _console.print(f"load before: {load:.1f}", highlight=False)


if __name__ == "__main__":
    main()

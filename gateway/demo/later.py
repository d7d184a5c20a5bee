"""What the clock brings, shown in a copy of the demo's data: the alliance that is served keeps its own time."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from gateway.app import Gateway, compose
from gateway.business_days import end_of_business_day
from gateway.cases.steps import CaseKind
from gateway.clock import MILLISECONDS, seconds, system_clock
from gateway.demo.telling import check
from gateway.settings import Settings
from gateway.vault.providers import LocalKeyring

_HOURS = 6
_STEP_MS = _HOURS * 3600 * MILLISECONDS


def copied(settings: Settings, folder: Path) -> Settings:
    """A copy of the data folder as it is now, and the settings of a gateway on it; the server goes on meanwhile."""
    copy = replace(settings, data_dir=folder)
    shutil.copytree(settings.data_dir, folder, ignore=shutil.ignore_patterns("gateway.db*"))
    with closing(sqlite3.connect(settings.sqlite_path)) as served, closing(sqlite3.connect(copy.sqlite_path)) as kept:
        served.backup(kept)
    return copy


async def two_days_later(settings: Settings, alliance: str, owner: str, consent: str) -> str:
    """Two business days pass in a copy in which a recipient is deaf; returns the case that its silence has opened.

    It is all that `owner` still waits for, it is overdue then, and one breach candidate, however often it is looked at.
    """
    now = [system_clock()]
    keyring = LocalKeyring.open(settings.keyring_path, (settings.passphrase_file or Path()).read_bytes().strip())
    async with compose(settings, keyring, lambda: now[0], process="later") as gateway:
        before = await _breaches(gateway, alliance)
        end = end_of_business_day(seconds(now[0]), 2) * MILLISECONDS
        while now[0] <= end:
            now[0] += _STEP_MS
            await gateway.following.telling.run()
            await gateway.following.settling.run()
        opened = await _breaches(gateway, alliance) - before
        late = [(one["consent"], one["state"]) for one in await gateway.following.supervising.outstanding(owner)]
        check("this one is overdue", late == [(consent, "overdue")], late)
        check("exactly one breach candidate", len(opened) == 1, opened)
        [case] = opened
        return case


async def _breaches(gateway: Gateway, alliance: str) -> set[str]:
    cases = await gateway.casework.cases.of_alliance(alliance, limit=1000)
    return {case.id for case in cases if case.kind is CaseKind.BREACH}

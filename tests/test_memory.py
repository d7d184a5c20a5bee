from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway import memory
from tests.access.world import PLACES
from tests.alliance import MARKET_SCHEMA, founded

_FRAGMENTS = """
from pathlib import Path
from gateway.memory import give_back
def resident(): return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
held = [bytes(60_000) for _ in range(2000)]
kept = held[::50] + [bytes(60_000)]
del held
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(memory._TRIM is None, reason="only glibc keeps what was freed")
def test_what_was_freed_between_things_that_stay_is_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", _FRAGMENTS], capture_output=True, text=True, check=True)
    assert int(said.stdout) > 50 << 20


async def test_short_work_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[None] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(None))
    async with memory.given_back():
        pass
    monkeypatch.setattr(memory, "SHORT_S", 0.0)
    async with memory.given_back():
        await asyncio.sleep(0.001)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(given) == 1


async def test_an_upload_gives_back_what_it_needed_whether_it_was_published_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = threading.Semaphore(0)
    monkeypatch.setattr(memory, "give_back", given.release)
    monkeypatch.setattr(memory, "SHORT_S", 0.0)
    async with founded(tmp_path) as alliance:
        bank = alliance.members["bank"]
        dataset = await bank.declare(MARKET_SCHEMA)
        for rows, status in ((PLACES, 201), ([{"no": "such field"}], 400)):
            assert (await bank.upload(dataset, rows)).status_code == status
            assert await asyncio.to_thread(given.acquire, timeout=30)

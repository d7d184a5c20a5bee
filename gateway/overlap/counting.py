"""How common elements are counted: by private set intersection in two worker processes, or by a plain join.

Workers hold one side's set each and see of the other what the protocol shows: blinded points. They are killed when
their time is over, when one of them fails, and when nobody waits any more.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL
from typing import Final, Protocol

from gateway.errors import Unavailable

LONGEST_RUN_S: Final = 600.0
_LIBRARY: Final = "private_set_intersection"
_LENGTH_BYTES: Final = 4
_LONGEST_FRAME: Final = 1 << 26
_WORKER: Final = (sys.executable, "-I", str(Path(__file__).with_name("worker.py")))


class WorkerFailed(Unavailable):
    """A worker ended, hung, spoke nonsense, or counted more than there are; the overlap is tried again."""

    def __init__(self) -> None:
        super().__init__("overlap_worker_failed", "The common customers could not be counted.")


class Counting(Protocol):
    """Counts the elements that two sets have in common."""

    @property
    def method(self) -> str:
        """As answers and entries name it."""

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        """How many elements of 32 bytes are in both sets; `WorkerFailed` if that can't be said now."""


class KeyedJoin:
    """The gateway joins keyed elements itself: both members trust it with both sets. Exact, and weaker."""

    method = "keyed_join"

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        """As the protocol says; it never fails."""
        return len(frozenset(ours) & frozenset(theirs))


class PrivateSets:
    """Two workers, one for each set, with the larger one at the server's side. `command` runs a worker."""

    method = "private_set_intersection"

    def __init__(self, command: Sequence[str] = _WORKER, *, longest_s: float = LONGEST_RUN_S) -> None:
        self._command = command
        self._longest_s = longest_s

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        """As the protocol says."""
        smaller, larger = sorted((ours, theirs), key=len)
        if not smaller:
            return 0
        try:
            async with (
                asyncio.timeout(self._longest_s),
                self._worker("server") as server,
                self._worker("client") as ask,
            ):
                await _give(server, b"".join(sorted(larger)), len(smaller).to_bytes(8))
                await _give(ask, b"".join(sorted(smaller)))
                setup = await _take(server)  # while the other one works too
                await _give(server, await _take(ask))
                await _give(ask, setup, await _take(server))
                common = int.from_bytes(await _take(ask))
        except (TimeoutError, OSError, EOFError):
            raise WorkerFailed from None
        if common > len(smaller):
            raise WorkerFailed
        return common

    @asynccontextmanager
    async def _worker(self, role: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            *self._command, role, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # `wait` would leave a pipe open that was not read to its end


def counting() -> Counting:
    """Private set intersection where its library is installed, else the join. The library is not imported here."""
    return KeyedJoin() if find_spec(_LIBRARY) is None else PrivateSets()


async def _give(worker: Process, *frames: bytes) -> None:
    assert worker.stdin is not None
    for frame in frames:
        worker.stdin.write(len(frame).to_bytes(_LENGTH_BYTES) + frame)
        await worker.stdin.drain()


async def _take(worker: Process) -> bytes:
    assert worker.stdout is not None
    length = int.from_bytes(await worker.stdout.readexactly(_LENGTH_BYTES))
    if length > _LONGEST_FRAME:
        raise EOFError
    return await worker.stdout.readexactly(length)

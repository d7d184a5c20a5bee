"""The last signed head of each log, kept outside the database.

It is what tells a restored, older database from the present one. Processes of one host share the
directory; a lock per log keeps a slower process from putting an older head back.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import Invalid
from gateway.finishing import finished
from gateway.ledger.errors import LedgerUnavailable

_PATIENCE_S = 10.0
_PAUSE_S = 0.01
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeldHead:
    """The copy of one log's head, while its lock is held."""

    path: Path

    async def read(self) -> bytes | None:
        """The signed note, or None when there is none yet."""
        return await asyncio.to_thread(_read, self.path)

    async def write(self, note: bytes) -> None:
        """Replace the note in one step; it is on disk when this returns. Cancelled, the lock outlasts the thread."""
        await finished(asyncio.to_thread(_replace, self.path, note))


class OutsideHeads:
    """One file per log in `directory`, which is created with access for this user alone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory

    @asynccontextmanager
    async def held(self, log: str) -> AsyncIterator[HeldHead]:
        """Hold a log's copy against every other process and task of this host.

        Raises:
            LedgerUnavailable: Another process has held it for ten seconds.
            Invalid: The log's id cannot be a file name.
        """
        if not _NAME.fullmatch(log):
            raise Invalid("log_id", "The log's id cannot name a file.", field="log")
        descriptor = os.open(self._directory / f"{log}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _lock(descriptor)
            yield HeldHead(self._directory / f"{log}.checkpoint")
        finally:
            os.close(descriptor)


async def _lock(descriptor: int) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                raise LedgerUnavailable("Another process is signing this log.") from None
        else:
            return
        await asyncio.sleep(_PAUSE_S)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, note: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

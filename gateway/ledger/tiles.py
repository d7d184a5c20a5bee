"""What a log publishes, never beyond its last signed checkpoint.

Static resources, 256 wide (C2SP tlog-tiles), and the proof of one entry (C2SP tlog-proof).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gateway.database import Database, Query
from gateway.errors import NotFound
from gateway.ledger.errors import UnknownLog
from gateway.ledger.inclusion import InclusionProof
from gateway.ledger.proofs import inclusion
from gateway.ledger.stored import NOT_SIGNED_YET, LogState, StoredHashes, entries, framed, state
from gateway.ledger.tables import leaf, log

WIDTH = 256
_LOGS = Query(select(log.c.id).order_by(log.c.id))
_PLACE = Query(select(leaf.c.idx).where(leaf.c.log_id == bindparam("log"), leaf.c.event_id == bindparam("event")))
_EVENT = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEVELS = 6
_LEVEL_BITS = 8
_PATH = re.compile(
    r"tile/(?:(?P<level>0|[1-5])|entries)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile; `level` is None for an entry bundle, `width` below 256 for a partial one."""

    level: int | None
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """The path below the log's prefix, as `tile/0/x001/x234/067.p/8`."""
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{'/'.join(groups)}{part}"

    @classmethod
    def parse(cls, path: str) -> TileName:
        """Read a path back; any other spelling is `NotFound`."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise NotFound
        level = None if found["level"] is None else int(found["level"])
        name = cls(level, int(re.sub(r"\D", "", found["index"])), int(found["width"] or WIDTH))
        if name.path() != path:
            raise NotFound
        return name


class Tiles:
    """What a log publishes. Bytes only; who may have them is for the caller to decide."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def logs(self) -> list[str]:
        """The ids of all logs."""
        return [row["id"] for row in await self._database.all(_LOGS)]

    async def checkpoint(self, log: str) -> bytes:
        """The newest signed checkpoint; `NotFound` before the first, and for a log that does not exist."""
        return (await self._signed(log)).note

    async def tile(self, log: str, level: int, index: int, width: int = WIDTH) -> bytes:
        """`width` hashes of 32 bytes; `NotFound` unless the checkpoint covers them all."""
        if not 0 <= level < _LEVELS:
            raise NotFound
        signed = await self._signed(log)
        _check(signed.signed_size >> _LEVEL_BITS * level, index, width)
        return b"".join(await StoredHashes(self._database, log).hashes(level, index * WIDTH, width))

    async def entries(self, log: str, index: int, width: int = WIDTH) -> bytes:
        """`width` entries, framed; `NotFound` unless the checkpoint covers them all."""
        signed = await self._signed(log)
        _check(signed.signed_size, index, width)
        return b"".join(framed(row["body"]) for row in await entries(self._database, log, index * WIDTH, width))

    async def proof(self, log: str, event_id: str) -> bytes:
        """That the newest signed tree has the entry of this event id, as a C2SP tlog-proof.

        `NotFound` unless it is an entry of this log, and the checkpoint covers it.
        """
        known = _EVENT.fullmatch(event_id)
        entry = await self._database.one(_PLACE, log=log, event=event_id) if known else None
        if entry is None:
            raise NotFound
        signed = await state(self._database, log)
        if entry["idx"] >= signed.signed_size:
            raise NotFound(NOT_SIGNED_YET)
        hashes = await inclusion(StoredHashes(self._database, log), entry["idx"], signed.signed_size)
        return InclusionProof(entry["idx"], tuple(hashes), signed.note).encode()

    async def _signed(self, log: str) -> LogState:
        try:
            found = await state(self._database, log)
        except UnknownLog:
            raise NotFound from None
        if not found.note:
            raise NotFound
        return found


def _check(available: int, index: int, width: int) -> None:
    if index < 0 or not 0 < width <= WIDTH or index * WIDTH + width > available:
        raise NotFound

"""The ledger's rows, read for proofs, tiles, exports and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, select

from gateway.database import Query, Reading, Row
from gateway.ledger.errors import LedgerRolledBack, UnknownLog
from gateway.ledger.tables import checkpoint, head, leaf, log, node

NOT_SIGNED_YET = "The entry is not signed yet: ask again in a second."
"""Of an entry that is durable, and that no checkpoint covers."""
_STATE = Query(
    select(log.c.origin, head.c.size, checkpoint.c.size.label("signed_size"), checkpoint.c.note)
    .join(head, head.c.log_id == log.c.id)
    .join(checkpoint, checkpoint.c.log_id == log.c.id)
    .where(log.c.id == bindparam("log"))
)
_END = bindparam("end", type_=BigInteger)
_LEAF_HASHES = Query(
    select(leaf.c.hash)
    .where(leaf.c.log_id == bindparam("log"), leaf.c.idx >= bindparam("first"), leaf.c.idx < _END)
    .order_by(leaf.c.idx)
)
_NODES = Query(
    select(node.c.hash)
    .where(
        node.c.log_id == bindparam("log"),
        node.c.level == bindparam("level"),
        node.c.idx >= bindparam("first"),
        node.c.idx < _END,
    )
    .order_by(node.c.idx)
)
_ENTRIES = Query(
    select(leaf.c.idx, leaf.c.body, leaf.c.detail)
    .where(leaf.c.log_id == bindparam("log"), leaf.c.idx >= bindparam("first"), leaf.c.idx < _END)
    .order_by(leaf.c.idx)
)


@dataclass(frozen=True, slots=True)
class LogState:
    """A log in one snapshot: what is durable, and what is signed (`note` is empty before the first checkpoint)."""

    log: str
    origin: str
    size: int
    signed_size: int
    note: bytes


async def state(reading: Reading, log: str) -> LogState:
    """The state of a log, or `UnknownLog`."""
    row = await reading.one(_STATE, log=log)
    if row is None:
        raise UnknownLog
    return LogState(log, row["origin"], row["size"], row["signed_size"], bytes(row["note"]))


@dataclass(frozen=True, slots=True)
class StoredHashes:
    """A `HashReader` over the rows of one log, within one reading."""

    reading: Reading
    log: str

    async def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Exactly `count` hashes; a missing row is `LedgerRolledBack`, because rows are never removed."""
        end = first + count
        if level == 0:
            rows = await self.reading.all(_LEAF_HASHES, log=self.log, first=first, end=end)
        else:
            rows = await self.reading.all(_NODES, log=self.log, level=level, first=first, end=end)
        if len(rows) != count:
            raise LedgerRolledBack(f"The log lacks hashes of level {level} from index {first}.")
        return [bytes(row[0]) for row in rows]


async def entries(reading: Reading, log: str, first: int, count: int) -> list[Row]:
    """Exactly `count` rows (idx, body, detail) from index `first`; a missing one is `LedgerRolledBack`."""
    rows = await reading.all(_ENTRIES, log=log, first=first, end=first + count)
    if len(rows) != count:
        raise LedgerRolledBack(f"The log lacks entries from index {first}.")
    return list(rows)


def framed(body: bytes) -> bytes:
    """An entry as C2SP tlog-tiles entry bundles frame it: its length as big-endian uint16, then its bytes."""
    return len(body).to_bytes(2, "big") + body

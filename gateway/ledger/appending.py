"""The one place where entries join a log: lock, check, insert, as separate statements of one transaction.

Under PostgreSQL's READ COMMITTED a statement sees what was committed before it began. So the heads are
locked first, and everything an entry depends on (size, narrowing, time, quota) is read under that lock.
Locks are always taken in the same order: heads by log id, then quotas, then this node's chain.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.clock import Clock, seconds
from gateway.database import AlreadyExists, Database, Query, Reading, Transaction
from gateway.errors import Conflicting, GatewayError
from gateway.ledger.bodies import Prepared
from gateway.ledger.entries import Effect, Receipt, Recorded
from gateway.ledger.errors import ClockBehind, LedgerRolledBack, StaleJudgement, UnknownLog, UsedBefore
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.quotas import Quotas
from gateway.ledger.tables import chain, leaf
from gateway.ledger.tables import head as head_table
from gateway.ledger.warrant import _MINT, LIFETIME_S, Warrant

CLOCK_TOLERANCE_MS = 5000
"""A clock further than this behind a log's newest entry appends nothing to it."""

_LOCK_HEAD = Query(
    select(head_table.c.size, head_table.c.narrowing, head_table.c.last_time)
    .where(head_table.c.log_id == bindparam("log"))
    .with_for_update()
)
_ADVANCE_HEAD = Query(
    update(head_table)
    .where(head_table.c.log_id == bindparam("log"))
    .values(size=bindparam("new_size", type_=BigInteger), last_time=bindparam("new_time", type_=BigInteger))
)
_INSERT_LEAF = Query(insert(leaf))
_BY_EVENT = Query(select(leaf.c.idx).where(leaf.c.event_id == bindparam("event")))
_CHAIN = Query(select(chain.c.seq).where(chain.c.node == bindparam("the_node")))
_LOCK_CHAIN = Query(select(chain.c.seq, chain.c.hash).where(chain.c.node == bindparam("the_node")).with_for_update())
_ENROL = Query(insert(chain))
_ADVANCE_CHAIN = Query(
    update(chain)
    .where(chain.c.node == bindparam("the_node"))
    .values(boot_id=bindparam("boot"), seq=bindparam("new_seq", type_=BigInteger), hash=bindparam("new_hash"))
)


@dataclass(slots=True)
class Head:
    """A locked head, moved forward in memory until it is written back."""

    log: str
    size: int
    narrowing: int
    last_time: int
    moved: bool = False


@dataclass(slots=True)
class Appended:
    """An entry inserted by a transaction that may yet fail."""

    entry: Prepared
    index: int
    leaf_hash: bytes
    time_ms: int
    judged_at: float
    _signed: str = field(default="", repr=False)

    def sign(self) -> None:
        """Let the draft sign for its entry, once. It need not be durable yet: what is signed leaves by `recorded`."""
        signing = self.entry.draft.signing
        if signing is not None and not self._signed:
            entry = self.entry
            self._signed = signing(Receipt(entry.event_id, entry.origin, self.leaf_hash, seconds(self.time_ms)))

    def recorded(self) -> Recorded:
        """The answer, with its warrant and signature. Call it only once the transaction has committed.

        Raises what the draft's `signing` raises.
        """
        self.sign()
        draft = self.entry.draft
        return Recorded(
            event_id=self.entry.event_id,
            log=draft.log,
            origin=self.entry.origin,
            index=self.index,
            leaf_hash=self.leaf_hash,
            time_ms=self.time_ms,
            effect=draft.effect,
            reasons=draft.reasons,
            warrant=self._warrant(),
            signed=self._signed,
        )

    def _warrant(self) -> Warrant | None:
        draft = self.entry.draft
        if draft.opening is None or draft.effect is not Effect.PERMIT:
            return None
        deadline = time.monotonic() + LIFETIME_S
        if draft.valid_until_ms is not None:
            deadline = min(deadline, self.judged_at + (draft.valid_until_ms - self.time_ms) / 1000)
        return Warrant(
            event_id=self.entry.event_id,
            log=draft.log,
            index=self.index,
            leaf_hash=self.leaf_hash,
            dataset=draft.opening.dataset,
            groups=draft.opening.groups,
            deadline=deadline,
            minted_by=_MINT,
        )


async def lock_heads(tx: Transaction, logs: Iterable[str]) -> dict[str, Head]:
    """Lock the heads of these logs in the order of their ids; a log that does not exist is left out."""
    heads = {}
    for log in sorted(set(logs)):
        row = await tx.one(_LOCK_HEAD, log=log)
        if row is not None:
            heads[log] = Head(log, row["size"], row["narrowing"], row["last_time"])
    return heads


async def is_recorded(reading: Reading, event_id: str) -> bool:
    """Whether an entry with this event id stands in any log."""
    return await reading.one(_BY_EVENT, event=event_id) is not None


class Appender:
    """Appends for one node. The chain over everything a node appended exposes a row removed before a checkpoint."""

    def __init__(self, clock: Clock, *, node: str, boot_id: str) -> None:
        self._clock = clock
        self._node = node
        self._boot_id = boot_id
        self._enrolled = False
        self._sizes: dict[str, int] = {}

    async def lock(self, tx: Transaction, logs: Iterable[str]) -> dict[str, Head]:
        """As `lock_heads`; `LedgerRolledBack` where a log is shorter than this process has made it."""
        heads = await lock_heads(tx, logs)
        for head in heads.values():
            if head.size < self._sizes.get(head.log, 0):
                raise LedgerRolledBack("The database is older than what was written to it.")
        return heads

    def remember(self, answers: Iterable[Appended | GatewayError]) -> None:
        """Keep in mind how long the logs are, once a transaction has committed."""
        for answer in answers:
            if isinstance(answer, Appended):
                log = answer.entry.draft.log
                self._sizes[log] = max(self._sizes.get(log, 0), answer.index + 1)

    async def enrol(self, database: Database) -> None:
        """Give this node its place in the chain, once; its lock is held for a moment only."""
        if self._enrolled:
            return
        if await database.one(_CHAIN, the_node=self._node) is None:
            try:
                async with database.transaction() as tx:
                    await tx.run(_ENROL, node=self._node, boot_id=self._boot_id, seq=0, hash="")
            except AlreadyExists:
                pass
        self._enrolled = True

    def instant(self, heads: Iterable[Head]) -> int:
        """The clock, but never before the newest of these heads.

        Raises:
            ClockBehind: The clock is more than five seconds behind.
        """
        now = self._clock()
        newest = max((head.last_time for head in heads), default=now)
        if now < newest - CLOCK_TOLERANCE_MS:
            raise ClockBehind
        return max(now, newest)

    async def append(
        self, tx: Transaction, heads: Mapping[str, Head], entries: Sequence[Prepared], *, now_ms: int | None = None
    ) -> list[Appended | GatewayError]:
        """Check each entry under the locks and insert those that stand; the answers are in the order of the entries.

        Entries bear the instant `now_ms` if given, else each the instant of its own log.
        """
        judging = _Judging(tx, heads, self, now_ms)
        judged = [await judging.judge(entry) for entry in entries]
        if not any(isinstance(answer, tuple) for answer in judged):
            return [answer for answer in judged if isinstance(answer, GatewayError)]
        await judging.quotas.write()
        return await self._insert(tx, heads, judged, judging.judged_at)

    async def _insert(
        self,
        tx: Transaction,
        heads: Mapping[str, Head],
        judged: Sequence[tuple[Prepared, int] | GatewayError],
        judged_at: float,
    ) -> list[Appended | GatewayError]:
        place = await tx.one(_LOCK_CHAIN, the_node=self._node)
        assert place is not None, "enrolled before the first append"
        seq, previous = place["seq"], place["hash"]
        answers: list[Appended | GatewayError] = []
        rows = []
        for answer in judged:
            if isinstance(answer, GatewayError):
                answers.append(answer)
                continue
            entry, instant = answer
            head = heads[entry.draft.log]
            body = entry.body(seq, previous, instant)
            digest = leaf_hash(body)
            rows.append(
                {
                    "log_id": head.log,
                    "idx": head.size,
                    "event_id": entry.event_id,
                    "body": body,
                    "hash": digest,
                    "detail": entry.detail,
                }
            )
            answers.append(Appended(entry, head.size, digest, instant, judged_at))
            head.size, head.last_time, head.moved = head.size + 1, instant, True
            seq, previous = seq + 1, urlsafe_b64encode(digest).rstrip(b"=").decode()
        await tx.many(_INSERT_LEAF, rows)
        for head in heads.values():
            if head.moved:
                await tx.run(_ADVANCE_HEAD, log=head.log, new_size=head.size, new_time=head.last_time)
        await tx.run(_ADVANCE_CHAIN, the_node=self._node, boot=self._boot_id, new_seq=seq, new_hash=previous)
        return answers


class _Judging:
    """The checks of one batch, under its locks."""

    def __init__(self, tx: Transaction, heads: Mapping[str, Head], appender: Appender, now_ms: int | None) -> None:
        self.judged_at = time.monotonic()
        self.quotas = Quotas(tx)
        self._tx = tx
        self._heads = heads
        self._appender = appender
        self._now_ms = now_ms
        self._named: set[str] = set()

    async def judge(self, entry: Prepared) -> tuple[Prepared, int] | GatewayError:
        """The entry to insert and its instant, or why nothing is inserted."""
        draft = entry.draft
        head = self._heads.get(draft.log)
        if head is None:
            return UnknownLog()
        try:
            instant = self._appender.instant((head,)) if self._now_ms is None else self._now_ms
        except ClockBehind as refusal:
            return refusal
        if draft.effect is Effect.PERMIT:
            if draft.narrowing is not None and draft.narrowing != head.narrowing:
                return StaleJudgement()
            if draft.valid_until_ms is not None and instant >= draft.valid_until_ms:
                return StaleJudgement()
        if draft.event_id and await self._is_taken(draft.event_id):
            return Conflicting("event_recorded", "An entry with this event id is already recorded.", field="/event_id")
        if draft.once is not None and not await draft.once.use(self._tx):
            return UsedBefore()
        if draft.marks is not None and not await draft.marks.stand(self._tx):
            return StaleJudgement()
        spent = await self.quotas.take(draft.quotas) if entry.refusal is not None else ()
        if not spent:
            if draft.marks is not None:
                await draft.marks.write(self._tx, instant)
            return entry, instant
        assert entry.refusal is not None
        try:
            return entry.refusal(spent), instant
        except GatewayError as error:
            return error

    async def _is_taken(self, event_id: str) -> bool:
        if event_id in self._named or await is_recorded(self._tx, event_id):
            return True
        self._named.add(event_id)
        return False

"""Keeps every case that was decided, once, before the entry that names it by its hash.

The document is the policy's input without the instant; the entry states the instant as `judged_at`. Both
together, with the policy of the entry's digest, give the decision again.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import bindparam, insert, select

from gateway.access.judgement import Judgement
from gateway.access.tables import decided_case
from gateway.canonical import canonical
from gateway.clock import Clock
from gateway.database import AlreadyExists, Database, Query

_KEPT = Query(select(decided_case.c.sha256).where(decided_case.c.sha256 == bindparam("sha256")))
_KEEP = Query(insert(decided_case))
_MOST_REMEMBERED = 65_536


class DecidedCases:
    """Remembers which hashes are kept, so that a decision like an earlier one costs nothing here."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: set[str] = set()

    async def keep(self, judgement: Judgement) -> None:
        """Durable on return. Without a decided case (an indeterminate answer) there is nothing to keep."""
        name = judgement.decision.case_sha256
        if not name or name in self._kept:
            return
        if await self._database.one(_KEPT, sha256=name) is None:
            await self._store(name, timeless(judgement.case))
        if len(self._kept) >= _MOST_REMEMBERED:
            self._kept.clear()
        self._kept.add(name)

    async def _store(self, name: str, document: bytes) -> None:
        assert hashlib.sha256(document).hexdigest() == name
        try:
            async with self._database.transaction() as tx:
                await tx.run(_KEEP, sha256=name, document=document, kept_at=self._clock())
        except AlreadyExists:
            return


def timeless(case: Any) -> bytes:
    """The canonical case without the instant, as the memo of decisions and `case_sha256` know it."""
    return canonical({**case, "context": {"purpose": case["context"]["purpose"]}})

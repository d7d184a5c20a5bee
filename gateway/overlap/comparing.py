"""Was nearly the same counted before? Each count leaves a sketch of both sets, sealed, for later ones to compare."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import BigInteger, bindparam, insert, select

from gateway.canonical import canonical
from gateway.database import Query, Reading, Transaction
from gateway.overlap.answering import LEAST_CHANGE, Told, changed, sketch
from gateway.overlap.record import Overlap
from gateway.overlap.tables import overlap, overlap_sketch
from gateway.vault.member_keys import MemberKeys

COMPARED_MS: Final = 366 * 24 * 3600 * 1000
"""For so long later counts are compared with one."""

_KEEP = Query(insert(overlap_sketch))
_FORMER = Query(
    select(overlap.c.id, overlap.c.at_least, overlap.c.fewer_than, overlap_sketch.c.member_id, overlap_sketch.c.sealed)
    .join(overlap_sketch, overlap_sketch.c.overlap_id == overlap.c.id)
    .where(
        overlap.c.pair == bindparam("pair"),
        overlap.c.matched_by == bindparam("matched_by"),
        overlap.c.answered_at > bindparam("since", type_=BigInteger),
    )
    .order_by(overlap.c.answered_at.desc(), overlap.c.id)
)

Keys = Mapping[str, MemberKeys]
"""Each member's."""


class Comparison:
    """One overlap's frozen sets beside those of its pair's counts of the last year."""

    def __init__(self, one: Overlap, sets: Mapping[str, Collection[bytes]], now_ms: int) -> None:
        self._one = one
        self._sketches = {member: sketch(elements) for member, elements in sets.items()}
        self._since = now_ms - COMPARED_MS
        self._moved: set[str] = set()

    async def nearly_same(self, reading: Reading, keys: Keys) -> tuple[str, Told] | None:
        """The newest count for which neither side has changed enough, with its answer.

        Asked again, it opens only what was counted meanwhile.
        """
        about = {"pair": self._one.pair, "matched_by": self._one.matched_by, "since": self._since}
        seen: dict[str, Told] = {}
        for row in await reading.all(_FORMER, **about):
            former = row["id"]
            seen[former] = Told(row["at_least"], row["fewer_than"])
            if former not in self._moved and self._has_moved(former, keys[row["member_id"]], row["sealed"]):
                self._moved.add(former)
        return next(((former, answer) for former, answer in seen.items() if former not in self._moved), None)

    async def keep(self, tx: Transaction, keys: Keys) -> None:
        """Later counts are compared with this one."""
        for member, seen in self._sketches.items():
            sealed = keys[member].seal_detail(seen, _bound(self._one.id, member))
            await tx.run(_KEEP, overlap_id=self._one.id, member_id=member, sealed=json.dumps(sealed))

    def _has_moved(self, former: str, keys: MemberKeys, sealed: str) -> bool:
        before = keys.open_detail(json.loads(sealed), _bound(former, keys.member_id))
        return changed(before, self._sketches[keys.member_id]) >= LEAST_CHANGE


def _bound(overlap_id: str, member: str) -> bytes:
    return canonical({"use": "overlap_sketch", "overlap": overlap_id, "member": member})

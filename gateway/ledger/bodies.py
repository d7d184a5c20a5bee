"""How a draft becomes the bytes of a leaf: RFC 8785 canonical JSON, below 8 KiB.

Everything but the node chain and the time is fixed before the entry waits for its batch, so that the
transaction only fills in three values. A list of records too long for the body stands beside the leaf
as its *detail*; the body then carries `{"count", "sha256"}` of it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.canonical import canonical
from gateway.errors import Invalid, TooLarge
from gateway.ledger.entries import Draft, Effect, Kind, Opening

BODY_LIMIT = 8192
"""A body is shorter than this many bytes."""

_INLINE_RECORDS = 128
_LATE_ROOM = 16 + 43 + 16
_IDENTITY = frozenset({"v", "log", "kind", "event_id", "time", "node", "boot_id", "node_seq", "prev_node_hash"})
RESERVED = _IDENTITY | {"effect", "reasons", "opening", "sealed", "narrowing"}
"""Members of a body that the ledger writes; a fact may not have these names."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked draft whose body lacks only `node_seq`, `prev_node_hash` and `time`."""

    draft: Draft
    event_id: str
    origin: str
    detail: bytes | None
    refusal: Callable[[], Prepared] | None
    """Prepares what is entered instead, should the quota be spent."""
    _pieces: tuple[bytes, bytes, bytes, bytes]

    def body(self, node_seq: int, prev_node_hash: str, time_ms: int) -> bytes:
        """The canonical bytes of the entry."""
        before, between, after, rest = self._pieces
        return b'%b"node_seq":%d,%b"prev_node_hash":"%b",%b"time":%d,%b' % (
            before,
            node_seq,
            between,
            prev_node_hash.encode(),
            after,
            time_ms,
            rest,
        )


def prepare(draft: Draft, *, event_id: str, origin: str, node: str, boot_id: str) -> Prepared:
    """Check a draft and fix its body.

    Raises:
        Invalid: A reserved or non-canonical fact, an opening without a permit, a quota without its refusal.
        TooLarge: The body reaches 8 KiB even with its records beside it.
    """
    _check(draft)
    members: dict[str, Any] = {
        **draft.facts,
        "v": 1,
        "log": origin,
        "kind": draft.kind.value,
        "event_id": draft.event_id or event_id,
        "node": node,
        "boot_id": boot_id,
    }
    if draft.effect is not None:
        members["effect"] = draft.effect.value
    if draft.reasons:
        members["reasons"] = [{"code": reason.code, "clause": reason.clause} for reason in draft.reasons]
    if draft.narrowing is not None:
        members["narrowing"] = draft.narrowing
    if draft.sealed is not None:
        members["sealed"] = dict(draft.sealed)
    pieces, detail = _fitting(members, draft.opening)
    refusal = None
    if draft.overdrawn is not None:
        refusal = partial(prepare, draft.overdrawn, event_id=event_id, origin=origin, node=node, boot_id=boot_id)
    return Prepared(draft, members["event_id"], origin, detail, refusal, pieces)


def _check(draft: Draft) -> None:
    if not all(isinstance(name, str) for name in draft.facts):
        raise Invalid("not_canonical", "A fact's name is not a string.", field="/facts")
    taken = RESERVED.intersection(draft.facts)
    if taken:
        raise Invalid("reserved_member", "The ledger writes this member itself.", field=f"/facts/{min(taken)}")
    if draft.opening is not None:
        if draft.effect is not Effect.PERMIT:
            raise Invalid("opening_without_permit", "Only a permit opens anything.", field="/opening")
        if draft.kind is Kind.ACCESS and draft.narrowing is None:
            raise Invalid("unjudged_permit", "A permit names the narrowing it was judged by.", field="/narrowing")
    if (draft.quota is None) != (draft.overdrawn is None):
        raise Invalid("quota_without_refusal", "A quota goes with the refusal for when it is spent.", field="/quota")
    if draft.overdrawn is not None:
        refusal = draft.overdrawn
        if refusal.log != draft.log or refusal.effect is Effect.PERMIT or refusal.quota or refusal.overdrawn:
            raise Invalid("refusal_expected", "What is entered instead is a plain refusal.", field="/overdrawn")


def _fitting(
    members: dict[str, Any], opening: Opening | None
) -> tuple[tuple[bytes, bytes, bytes, bytes], bytes | None]:
    """The first form of the opening that leaves the body below its limit."""
    for form in (_inline, _records_beside, _groups_beside) if opening else (None,):
        detail = None
        if opening and form:
            shown = form(opening)
            if shown is None:
                continue
            members["opening"], detail = shown
        pieces = _pieces(members)
        if sum(map(len, pieces)) + len('"node_seq":,"prev_node_hash":"","time":,') + _LATE_ROOM < BODY_LIMIT:
            return pieces, detail
    raise TooLarge("entry_too_large", f"The entry's body reaches {BODY_LIMIT} bytes.", remedy="Name less in one entry.")


def _inline(opening: Opening) -> tuple[dict[str, Any], None] | None:
    if sum(len(group.records) for group in opening.groups) > _INLINE_RECORDS:
        return None
    return {"dataset": opening.dataset, "groups": _groups(opening)}, None


def _records_beside(opening: Opening) -> tuple[dict[str, Any], bytes]:
    detail = canonical([list(group.records) for group in opening.groups])
    groups = _groups(opening)
    for group in groups:
        group["records"] = len(group["records"])
    return {"dataset": opening.dataset, "groups": groups, "records": _reference(opening, detail)}, detail


def _groups_beside(opening: Opening) -> tuple[dict[str, Any], bytes]:
    detail = canonical(_groups(opening))
    return {"dataset": opening.dataset, "records": _reference(opening, detail)}, detail


def _groups(opening: Opening) -> list[dict[str, Any]]:
    return [
        {
            "classes": list(group.classes),
            "fields": list(group.fields),
            "withheld": list(group.withheld),
            "records": list(group.records),
        }
        for group in opening.groups
    ]


def _reference(opening: Opening, detail: bytes) -> dict[str, Any]:
    return {
        "count": sum(len(group.records) for group in opening.groups),
        "sha256": hashlib.sha256(detail).hexdigest(),
    }


_LATE = ("node_seq", "prev_node_hash", "time")


def _pieces(members: Mapping[str, Any]) -> tuple[bytes, bytes, bytes, bytes]:
    """The body around its three late members, which sort as node_seq < prev_node_hash < time."""
    runs: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
    for name, value in members.items():
        runs[bisect(_LATE, name)][name] = value
    before, between, after, rest = runs
    return canonical(before)[:-1] + b",", _run(between), _run(after), canonical(rest)[1:]


def _run(members: Mapping[str, Any]) -> bytes:
    return canonical(members)[1:-1] + b"," if members else b""

"""How a draft becomes the bytes of a leaf: RFC 8785 canonical JSON, below 8 KiB.

Everything but the node chain and the time is fixed before the entry waits for its batch, so that the
transaction only fills in three values. A list of records too long for the body stands beside the leaf
as its *detail*; the body then carries `{"count", "sha256"}` of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from gateway.canonical import Written, canonical
from gateway.errors import Invalid, Reason, TooLarge
from gateway.ledger.entries import Draft, Effect, Kind, Opening
from gateway.ledger.warrant import OpeningGroup

BODY_LIMIT = 8192
"""A body is shorter than this many bytes."""

_INLINE_RECORDS = 128
_GAP = b"\0"
"""Stands where a late value will. Canonical JSON escapes this byte, so that it stands nowhere else."""
_LATE = dict.fromkeys(("node_seq", "prev_node_hash", "time"), Written(_GAP))
_LATE_ROOM = 16 + len('""') + 43 + 16 - len(_LATE) * len(_GAP)
_IDENTITY = frozenset({"v", "log", "kind", "event_id", "node", "boot_id", *_LATE})
RESERVED = _IDENTITY | {"effect", "reasons", "opening", "sealed", "narrowing"}
"""Members of a body that the ledger writes; a fact may not have these names."""


class Prepared(NamedTuple):
    """A checked draft whose body lacks only `node_seq`, `prev_node_hash` and `time`."""

    draft: Draft
    event_id: str
    origin: str
    detail: bytes | None
    refusal: Callable[[tuple[Reason, ...]], Prepared] | None
    """Prepares what is entered instead, given the reasons of the quotas that are spent."""
    pieces: tuple[bytes, bytes, bytes, bytes]
    """The text around its three gaps."""

    def body(self, node_seq: int, prev_node_hash: str, time_ms: int) -> bytes:
        """The canonical bytes of the entry."""
        before, between, after, rest = self.pieces
        return b'%b%d%b"%b"%b%d%b' % (before, node_seq, between, prev_node_hash.encode(), after, time_ms, rest)


def prepare(draft: Draft, *, event_id: str, origin: str, node: str, boot_id: str) -> Prepared:
    """Check a draft and fix its body.

    Raises:
        Invalid: A reserved or non-canonical fact, an opening without a permit, a quota without its refusal.
        TooLarge: The body reaches 8 KiB even with its records beside it.
    """
    _check(draft)
    event = draft.event_id or event_id
    members: dict[str, Any] = {
        **draft.facts,
        **_LATE,
        "v": 1,
        "log": origin,
        "kind": draft.kind.value,
        "event_id": event,
        "node": node,
        "boot_id": boot_id,
    }
    if draft.effect is not None:
        members["effect"] = draft.effect.value
    if draft.narrowing is not None:
        members["narrowing"] = draft.narrowing
    if draft.reasons:
        members["reasons"] = [{"code": reason.code, "clause": reason.clause} for reason in draft.reasons]
    if draft.sealed is not None:
        members["sealed"] = dict(draft.sealed)
    text, detail = _fitting(members, draft.opening)
    refusal = None
    if draft.overdrawn is not None:
        named_alike = {"event_id": event_id, "origin": origin, "node": node, "boot_id": boot_id}
        refusal = partial(_overdrawn, draft.overdrawn, named_alike)
    before, between, after, rest = text.split(_GAP)
    return Prepared(draft, event, origin, detail, refusal, (before, between, after, rest))


def _overdrawn(refusal: Draft, named: Mapping[str, str], reasons: tuple[Reason, ...]) -> Prepared:
    return prepare(refusal._replace(reasons=reasons), **named)


def _check(draft: Draft) -> None:
    if not RESERVED.isdisjoint(draft.facts):
        taken = min(RESERVED.intersection(draft.facts))
        raise Invalid("reserved_member", "The ledger writes this member itself.", field=f"/facts/{taken}")
    if draft.opening is not None:
        if draft.effect is not Effect.PERMIT:
            raise Invalid("opening_without_permit", "Only a permit opens anything.", field="/opening")
        if draft.kind is Kind.ACCESS and draft.narrowing is None:
            raise Invalid("unjudged_permit", "A permit names the narrowing it was judged by.", field="/narrowing")
    if bool(draft.quotas) != (draft.overdrawn is not None):
        raise Invalid("quota_without_refusal", "A quota goes with the refusal for when it is spent.", field="/quota")
    if draft.overdrawn is not None:
        refusal = draft.overdrawn
        if refusal.log != draft.log or refusal.effect is Effect.PERMIT or refusal.quotas or refusal.overdrawn:
            raise Invalid("refusal_expected", "What is entered instead is a plain refusal.", field="/overdrawn")


def _fitting(members: dict[str, Any], opening: Opening | None) -> tuple[bytes, bytes | None]:
    """The text with the first form of the opening that leaves the body below its limit, and the detail beside it."""
    for form in (_inline, _records_beside, _groups_beside) if opening else (None,):
        detail = None
        if opening and form:
            shown = form(opening)
            if shown is None:
                continue
            members["opening"], detail = shown
        text = canonical(members)
        if len(text) + _LATE_ROOM < BODY_LIMIT:
            return text, detail
    raise TooLarge("entry_too_large", f"The entry's body reaches {BODY_LIMIT} bytes.", remedy="Name less in one entry.")


def _inline(opening: Opening) -> tuple[Any, None] | None:
    if sum([len(group.records) for group in opening.groups]) > _INLINE_RECORDS:
        return None
    return {"dataset": opening.dataset, "groups": _groups(opening)}, None


def _records_beside(opening: Opening) -> tuple[Any, bytes]:
    detail = canonical([group.records for group in opening.groups])
    groups = [_group(group, len(group.records)) for group in opening.groups]
    return {"dataset": opening.dataset, "groups": groups, "records": _reference(opening, detail)}, detail


def _groups_beside(opening: Opening) -> tuple[Any, bytes]:
    detail = canonical(_groups(opening))
    return {"dataset": opening.dataset, "records": _reference(opening, detail)}, detail


def _groups(opening: Opening) -> list[dict[str, Any]]:
    return [_group(group, group.records) for group in opening.groups]


def _group(group: OpeningGroup, records: Any) -> dict[str, Any]:
    return {"classes": group.classes, "fields": group.fields, "records": records, "withheld": group.withheld}


def _reference(opening: Opening, detail: bytes) -> dict[str, Any]:
    return {
        "count": sum(len(group.records) for group in opening.groups),
        "sha256": hashlib.sha256(detail).hexdigest(),
    }

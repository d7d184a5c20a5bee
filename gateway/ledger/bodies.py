"""How a draft becomes the bytes of a leaf: RFC 8785 canonical JSON, below 8 KiB.

Everything but the node chain and the time is fixed before the entry waits for its batch, so that the
transaction only fills in three values. A list of records too long for the body stands beside the leaf
as its *detail*; the body then carries `{"count", "sha256"}` of it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

from gateway.canonical import canonical
from gateway.errors import Invalid, Reason, TooLarge
from gateway.ledger.entries import Draft, Effect, Kind, Opening, SharedFacts
from gateway.ledger.warrant import OpeningGroup

BODY_LIMIT = 8192
"""A body is shorter than this many bytes."""

_INLINE_RECORDS = 128
_LATE = ("node_seq", "prev_node_hash", "time")
_LATE_ROOM = len('"node_seq":,"prev_node_hash":"","time":,') + 16 + 43 + 16
_OWN = ("event_id", "opening", "reasons", "sealed")
_BREAKS = sorted((*_OWN, *_LATE))
_IDENTITY = frozenset({"v", "log", "kind", "event_id", "node", "boot_id", *_LATE})
RESERVED = _IDENTITY | {"effect", "reasons", "opening", "sealed", "narrowing"}
"""Members of a body that the ledger writes; a fact may not have these names."""

_Pieces = tuple[bytes, bytes, bytes, bytes]
_NOTHING: Mapping[str, bytes] = {}


class Prepared(NamedTuple):
    """A checked draft whose body lacks only `node_seq`, `prev_node_hash` and `time`."""

    draft: Draft
    event_id: str
    origin: str
    detail: bytes | None
    refusal: Callable[[tuple[Reason, ...]], Prepared] | None
    """Prepares what is entered instead, given the reasons of the quotas that are spent."""
    pieces: _Pieces

    def body(self, node_seq: int, prev_node_hash: str, time_ms: int) -> bytes:
        """The canonical bytes of the entry."""
        before, between, after, rest = self.pieces
        return b'{%b"node_seq":%d,%b"prev_node_hash":"%b",%b"time":%d,%b}' % (
            before,
            node_seq,
            between,
            prev_node_hash.encode(),
            after,
            time_ms,
            rest[:-1],
        )


def prepare(draft: Draft, *, event_id: str, origin: str, node: str, boot_id: str) -> Prepared:
    """Check a draft and fix its body.

    Raises:
        Invalid: A reserved or non-canonical fact, an opening without a permit, a quota without its refusal.
        TooLarge: The body reaches 8 KiB even with its records beside it.
    """
    _check(draft)
    event = draft.event_id or event_id
    named = (draft.kind, draft.effect, draft.narrowing, origin, node, boot_id)
    if draft.facts or draft.shared is None:
        facts = {name: canonical(fact) for name, fact in draft.facts.items()}
        runs = _runs({**facts, **(draft.shared.texts if draft.shared else _NOTHING)}, *named)
    else:
        runs = _shared_runs(draft.shared, *named)
    own = {"event_id": canonical(event)}
    if draft.reasons:
        own["reasons"] = canonical([{"code": reason.code, "clause": reason.clause} for reason in draft.reasons])
    if draft.sealed is not None:
        own["sealed"] = canonical(dict(draft.sealed))
    pieces, detail = _fitting(runs, own, draft.opening)
    refusal = None
    if draft.overdrawn is not None:
        named_alike = {"event_id": event_id, "origin": origin, "node": node, "boot_id": boot_id}
        refusal = partial(_overdrawn, draft.overdrawn, named_alike)
    return Prepared(draft, event, origin, detail, refusal, pieces)


def _overdrawn(refusal: Draft, named: Mapping[str, str], reasons: tuple[Reason, ...]) -> Prepared:
    return prepare(refusal._replace(reasons=reasons), **named)


def _check(draft: Draft) -> None:
    if draft.shared is not None and not draft.shared.texts.keys().isdisjoint(draft.facts):
        raise Invalid("repeated_fact", "A fact is given twice.", field="/facts")
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


def _runs(facts: Mapping[str, bytes], *named: Any) -> tuple[bytes, ...]:
    """The members of a body that do not differ from entry to entry, in order, broken where others stand."""
    if not all(isinstance(name, str) and name.isascii() for name in facts):
        raise Invalid("not_canonical", "A fact's name is not an ASCII string.", field="/facts")
    if not RESERVED.isdisjoint(facts):
        taken = min(RESERVED.intersection(facts))
        raise Invalid("reserved_member", "The ledger writes this member itself.", field=f"/facts/{taken}")
    members = {**facts, **_named(*named)}
    names = sorted(members)
    at = [0, *(bisect(names, name) for name in _BREAKS), len(names)]
    written = [b"%b%b," % (_label(name), members[name]) for name in names]
    return tuple([b"".join(written[start:end]) for start, end in pairwise(at)])


@lru_cache(maxsize=1024)
def _shared_runs(facts: SharedFacts, *named: Any) -> tuple[bytes, ...]:
    return _runs(facts.texts, *named)


@lru_cache(maxsize=1024)
def _named(
    kind: Kind, effect: Effect | None, narrowing: int | None, origin: str, node: str, boot_id: str
) -> Mapping[str, bytes]:
    """What the ledger writes alike into every entry of a kind."""
    members: dict[str, Any] = {"v": 1, "log": origin, "kind": kind.value, "node": node, "boot_id": boot_id}
    if effect is not None:
        members["effect"] = effect.value
    if narrowing is not None:
        members["narrowing"] = narrowing
    return {name: canonical(value) for name, value in members.items()}


@lru_cache(maxsize=1024)
def _label(name: str) -> bytes:
    return canonical(name) + b":"


def _fitting(runs: tuple[bytes, ...], own: dict[str, bytes], opening: Opening | None) -> tuple[_Pieces, bytes | None]:
    """The first form of the opening that leaves the body below its limit."""
    for form in (_inline, _records_beside, _groups_beside) if opening else (None,):
        detail = None
        if opening and form:
            shown = form(opening)
            if shown is None:
                continue
            own["opening"], detail = shown
        pieces = _pieces(runs, own)
        if sum(map(len, pieces)) + _LATE_ROOM < BODY_LIMIT:
            return pieces, detail
    raise TooLarge("entry_too_large", f"The entry's body reaches {BODY_LIMIT} bytes.", remedy="Name less in one entry.")


def _inline(opening: Opening) -> tuple[bytes, None] | None:
    if sum([len(group.records) for group in opening.groups]) > _INLINE_RECORDS:
        return None
    return b'{"dataset":%b,"groups":%b}' % (canonical(opening.dataset), _groups(opening)), None


def _records_beside(opening: Opening) -> tuple[bytes, bytes]:
    detail = canonical([group.records for group in opening.groups])
    groups = [_group(group, b"%d" % len(group.records)) for group in opening.groups]
    told = canonical(opening.dataset), b",".join(groups), canonical(_reference(opening, detail))
    return b'{"dataset":%b,"groups":[%b],"records":%b}' % told, detail


def _groups_beside(opening: Opening) -> tuple[bytes, bytes]:
    detail = _groups(opening)
    return canonical({"dataset": opening.dataset, "records": _reference(opening, detail)}), detail


def _groups(opening: Opening) -> bytes:
    return b"[%b]" % b",".join([_group(group, canonical(group.records)) for group in opening.groups])


def _group(group: OpeningGroup, records: bytes) -> bytes:
    """A group with `records` as they are to stand in it: all else is the same from entry to entry."""
    before, after = _around_records(group.classes, group.fields, group.withheld)
    return before + records + after


@lru_cache(maxsize=1024)
def _around_records(
    classes: tuple[str, ...], fields: tuple[str, ...], withheld: tuple[str, ...]
) -> tuple[bytes, bytes]:
    group = {"classes": classes, "fields": fields, "records": None, "withheld": withheld}
    label = b'"records":'
    before, _, after = canonical(group).partition(label + b"null")
    return before + label, after


def _reference(opening: Opening, detail: bytes) -> dict[str, Any]:
    return {
        "count": sum(len(group.records) for group in opening.groups),
        "sha256": hashlib.sha256(detail).hexdigest(),
    }


def _pieces(runs: tuple[bytes, ...], own: Mapping[str, bytes]) -> _Pieces:
    """The members around the three late ones; those of this entry alone stand where the runs break."""
    pieces, piece = [], [runs[0]]
    for name, run in zip(_BREAKS, runs[1:], strict=True):
        if name in _LATE:
            pieces.append(b"".join(piece))
            piece = []
        elif name in own:
            piece.append(b'"%b":%b,' % (name.encode(), own[name]))
        piece.append(run)
    before, between, after = pieces
    return before, between, after, b"".join(piece)

"""One step of one record: its event, its row, and the row that reads join, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func, insert, null, update

from gateway.clock import seconds
from gateway.consents.events import NEW_EVENT, event_row, newest_digest
from gateway.consents.notice_text import DISCLOSURE
from gateway.consents.record import Record, due_at
from gateway.consents.states import STANDING, Event, State, follow
from gateway.consents.tables import consent, consent_record
from gateway.database import Query, Transaction
from gateway.ledger import Change

NEW_PERMISSION = Query(insert(consent))
_MOVE = Query(
    update(consent_record)
    .values(
        state=bindparam("new_state", type_=Text),
        sequence=bindparam("new_sequence", type_=BigInteger),
        fields=bindparam("new_fields", type_=BigInteger),
        channels=bindparam("new_channels", type_=Text),
        given_at=bindparam("given", type_=BigInteger),
        expires_at=bindparam("expires", type_=BigInteger),
        due_at=bindparam("due", type_=BigInteger),
        guardian=bindparam("by_guardian", type_=Text),
        supersedes=bindparam("former", type_=Text),
        changed_at=bindparam("at", type_=BigInteger),
    )
    .where(consent_record.c.id == bindparam("the_id"))
)
_END = Query(
    update(consent)
    .values(
        ended_at=func.coalesce(consent.c.ended_at, bindparam("now", type_=BigInteger)),
        end_kind=bindparam("kind_of_end", type_=Text),
    )
    .where(consent.c.id == bindparam("the_id"))
)
_STAND_AGAIN = Query(
    update(consent).values(ended_at=null(), end_kind=null()).where(consent.c.id == bindparam("the_id", type_=Text))
)
_NARROW_FIELDS = Query(
    update(consent).values(fields=bindparam("new_fields", type_=BigInteger)).where(consent.c.id == bindparam("the_id"))
)


async def take(
    change: Change,
    record: Record,
    event: Event,
    *,
    by: Mapping[str, str],
    details: Mapping[str, Any],
    evidence_sha256: str = "",
    **moved: Any,
) -> Record:
    """Take the step, or `Conflicting`; `moved` are the record's members that move with it."""
    state = follow(record.state, event)
    after = replace(record, state=state, sequence=record.sequence + 1, changed_at=change.now_ms, **moved)
    previous = await newest_digest(change.tx, record.id)
    told = event_row(record.id, after.sequence, event, state, change.now_ms, by=by, details=details, previous=previous)
    await change.tx.run(NEW_EVENT, **told)
    await change.tx.run(
        _MOVE,
        the_id=record.id,
        new_state=state.value,
        new_sequence=after.sequence,
        new_fields=after.fields,
        new_channels=" ".join(after.channels),
        given=after.given_at,
        expires=after.expires_at,
        due=due_at(state, after.expires_at, after.stale_at),
        by_guardian=None if after.guardian is None else after.guardian.text(),
        former=after.supersedes,
        at=change.now_ms,
    )
    if record.kind == DISCLOSURE:
        await _permit(change.tx, record, after, change.now_ms, evidence_sha256 or told["sha256"])
    return after


async def _permit(tx: Transaction, before: Record, after: Record, now_ms: int, evidence_sha256: str) -> None:
    """Make what reads join say what the record says."""
    was, now = before.state, after.state
    if now is State.GIVEN and was is State.ON_HOLD:
        await tx.run(_STAND_AGAIN, the_id=after.id)
    elif now is State.GIVEN and was is State.GIVEN:
        await tx.run(_NARROW_FIELDS, the_id=after.id, new_fields=after.fields)
    elif now is State.GIVEN:
        await tx.run(NEW_PERMISSION, **permission_row(_columns(after), now_ms, evidence_sha256))
    elif was in STANDING:
        await tx.run(_END, the_id=after.id, now=seconds(now_ms), kind_of_end=now.value)


def _columns(record: Record) -> dict[str, Any]:
    names = ("id", "dataset_no", "purpose", "pseudonym", "fields", "given_at", "expires_at", "stale_at")
    columns = {name: getattr(record, name) for name in (*names, "notice_sha256", "max_uses")}
    return columns | {"recipient_id": record.recipient}


def permission_row(record: Mapping[str, Any], now_ms: int, evidence_sha256: str) -> dict[str, Any]:
    """The row that reads join, of a record's columns; it ends where the record does, or goes stale."""
    names = ("id", "dataset_no", "recipient_id", "purpose", "pseudonym", "fields", "given_at", "notice_sha256")
    ends = [record[name] for name in ("expires_at", "stale_at") if record[name] is not None]
    return {name: record[name] for name in names} | {
        "expires_at": min(ends),
        "ended_at": None,
        "end_kind": None,
        "evidence_sha256": evidence_sha256,
        "recorded_at": now_ms,
        "disclosed_at": None,
        "uses_left": record["max_uses"],
    }

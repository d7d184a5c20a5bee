"""What was told is true no more: the consents under a notice's former versions stop permitting with its new one.

A few statements end them all at once, however many they are; each record's own event follows
(`gateway.consents.overtaken`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Text, and_, bindparam, select, update

from gateway.consents.notice_text import ItemKey
from gateway.consents.record import in_states
from gateway.consents.states import State
from gateway.consents.tables import consent, consent_record, notice
from gateway.database import Query, Transaction

_UNDER_FORMER = and_(
    consent_record.c.notice_id.in_(
        select(notice.c.id).where(
            notice.c.dataset_no == bindparam("of_dataset", type_=BigInteger), notice.c.name == bindparam("of_name")
        )
    ),
    consent_record.c.recipient_id == bindparam("recipient", type_=Text),
    consent_record.c.purpose == bindparam("of_purpose", type_=Text),
    consent_record.c.kind == bindparam("of_kind", type_=Text),
    in_states([State.GIVEN, State.ON_HOLD]),
)
_END = Query(
    update(consent)
    .values(ended_at=bindparam("now", type_=BigInteger), end_kind=State.STALE.value)
    .where(consent.c.ended_at.is_(None), consent.c.id.in_(select(consent_record.c.id).where(_UNDER_FORMER)))
)
_AGE = Query(
    update(consent_record)
    .values(stale_at=bindparam("now", type_=BigInteger), due_at=bindparam("now", type_=BigInteger))
    .where(_UNDER_FORMER)
)


async def age_items(tx: Transaction, dataset_no: int, name: str, items: Sequence[ItemKey], now_s: int) -> int:
    """End what permits under the former versions of a notice for these items; returns how many records go stale."""
    aged = 0
    for key in items:
        about = {"of_dataset": dataset_no, "of_name": name, "recipient": key.recipient, "of_purpose": key.purpose}
        await tx.run(_END, **about, of_kind=key.kind, now=now_s)
        aged += await tx.run(_AGE, **about, of_kind=key.kind, now=now_s)
    return aged

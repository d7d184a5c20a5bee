"""The second receipt of a consent that ended: everybody who received has complied, and how.

It is signed once for what the record has come to, in the change of the last recipient's answer; while the consent
stands, or can stand again, there is none.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, select

from gateway.cases.case import told
from gateway.clock import seconds
from gateway.consents.following.tables import follow_up
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.record import Record, chosen
from gateway.consents.states import State
from gateway.consents.tables import consent_receipt, consent_record
from gateway.database import Query, Row
from gateway.ledger import Change

KIND = "complied"
_STANDS: Final = frozenset({State.GIVEN, State.ON_HOLD})
_RECORD = Query(chosen(consent_record.c.id == bindparam("id")))
_SIGNED = Query(
    select(consent_receipt.c.id).where(
        consent_receipt.c.record_id == bindparam("record"),
        consent_receipt.c.event_sequence == bindparam("sequence", type_=BigInteger),
        consent_receipt.c.kind == KIND,
    )
)
_ANSWERS = Query(
    select(follow_up)
    .where(follow_up.c.consent_id == bindparam("consent"))
    .order_by(follow_up.c.complied_at, follow_up.c.id)
)


class Termination:
    """Signs it."""

    def __init__(self, receipts: ConsentReceipts) -> None:
        self._receipts = receipts

    async def receipt(self, change: Change, consent: str) -> None:
        """Every recipient has complied with whatever was asked about this consent: if its end was, that is signed.

        `Unavailable` without a key to sign with.
        """
        row = await change.tx.one(_RECORD, id=consent)
        assert row is not None
        record, answers = Record.of(row), await change.tx.all(_ANSWERS, consent=consent)
        if record.state in _STANDS or all(one["cause"] == "corrected" for one in answers):
            return
        if record.sequence and await change.tx.one(_SIGNED, record=consent, sequence=record.sequence) is None:
            more = {"iat": seconds(change.now_ms), "propagation": [_answer(one) for one in answers]}
            await self._receipts.sign(change.tx, record, KIND, change.now_ms, more=more)


def _answer(row: Row) -> dict[str, Any]:
    named = {"recipient": row["recipient_id"], "cause": row["cause"], "how": row["how"]}
    named |= {"complied_at": told(row["complied_at"]), "proof_sha256": row["proof_sha256"] or ""}
    return named | ({"holder": row["holder"]} if row["holder"] else {})

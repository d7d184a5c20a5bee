"""An erasure in referrals: what a person was matched by, what was shown of it, and what was noted down about it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, select, update

from gateway.database import Query, Transaction
from gateway.referrals.tables import referral, referral_note, referral_term

_OF_PERSON = (referral.c.owner_id == bindparam("owner"), referral.c.pseudonym == bindparam("person"))
_BY_REFERRAL: Final = [
    Query(delete(table).where(table.c.referral_id.in_(select(referral.c.id).where(*_OF_PERSON))))
    for table in (referral_term, referral_note)
]
_WORDS = Query(update(referral).values(preview="", city_term=b"", need_term=b"", budget_term=b"").where(*_OF_PERSON))


async def forget(tx: Transaction, owner: str, pseudonym: str) -> None:
    """Leave of a person's referrals that there were some, where they stand, and what they were worth."""
    for of_referral in _BY_REFERRAL:
        await tx.run(of_referral, owner=owner, person=pseudonym)
    await tx.run(_WORDS, owner=owner, person=pseudonym)

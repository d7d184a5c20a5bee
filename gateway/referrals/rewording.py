"""A preview in other words, after the recipient asked for more; what of it is shown is counted again."""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam, update
from sqlalchemy import Text as SQLText

from gateway.database import Query
from gateway.ledger import Change
from gateway.referrals.cohorts import shared_values
from gateway.referrals.preview import PARTS, Preview
from gateway.referrals.referral import Referral, existing
from gateway.referrals.tables import referral

_WORDS = Query(
    update(referral)
    .where(referral.c.id == bindparam("the_id"))
    .values({referral.c[name]: bindparam(f"new_{name}", type_=SQLText) for name in PARTS})
)
_SHOW = Query(
    update(referral).where(referral.c.id == bindparam("the_id")).values(shown=bindparam("new_shown", type_=BigInteger))
)


async def reword(change: Change, found: Referral, preview: Preview) -> None:
    """Replace the preview; no more of it is shown than at least k persons share."""
    await change.tx.run(_WORDS, the_id=found.id, **{f"new_{name}": getattr(preview, name) for name in PARTS})
    reworded = await existing(change.tx, found.id, change.now_ms)
    await change.tx.run(_SHOW, the_id=found.id, new_shown=await shared_values(change.tx, reworded))

"""How much of a preview is shown: as much as at least k persons share.

Counted are the distinct persons of the referrer's dataset for whom it has submitted a referral, to whichever recipient,
whose preview has the very same values; the person itself is one of them. Where fewer than k share all three values, the
budget is left out, then the need, then the city. So a value that stands for one person alone, such as a name, is never
shown, whatever it looks like.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, func, select

from gateway.database import Query, Reading
from gateway.referrals.preview import PARTS
from gateway.referrals.referral import Referral
from gateway.referrals.tables import referral

_TERMS: Final = tuple(f"{name}_term" for name in PARTS)
_SHARING: Final = {
    count: Query(
        select(func.count(referral.c.pseudonym.distinct()).label("persons")).where(
            referral.c.dataset_no == bindparam("dataset_no"),
            referral.c.submitted_at.is_not(None),
            *(referral.c[name] == bindparam(name) for name in _TERMS[:count]),
        )
    )
    for count in range(1, len(PARTS) + 1)
}


async def shared_values(reading: Reading, found: Referral) -> int:
    """How many of the preview's values, in order, at least k persons share together."""
    for count in range(len(PARTS), 0, -1):
        given = {name: bytes(found.row[name]) for name in _TERMS[:count]}
        row = await reading.one(_SHARING[count], dataset_no=found.row["dataset_no"], **given)
        assert row is not None
        if row["persons"] >= found.policy.k:
            return count
    return 0

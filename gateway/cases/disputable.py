"""What a party may dispute, and so freeze: something of this very agreement, never what others have agreed on."""

from __future__ import annotations

import re
from typing import Final, Protocol

from gateway.agreements import Agreement, HoldSubject
from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.held import BY_ID_ALONE, term_of
from gateway.confidentiality.memos import agreement_of
from gateway.database import Database, Reading
from gateway.errors import Invalid

_REMEDY: Final = "Dispute a term, the agreement, a referral, a ledger line or a memo; your own data as a dataset."


class SeesReferral(Protocol):
    """Who knows whose a referral is."""

    async def __call__(self, reading: Reading, referral_id: str, member: str, agreement: str, /) -> bool:
        """Whether there is one under this agreement that the member can see."""


class Disputable:
    """Says what a hold of a party is on; a subject that is known by its id alone is looked up first."""

    def __init__(self, database: Database, sees_referral: SeesReferral) -> None:
        self._database = database
        self._sees_referral = sees_referral

    async def subject(self, found: Agreement, member: str, about: HoldSubject, of: str) -> str:
        """The subject of the hold, or `Invalid` where this party may not freeze it under this agreement."""
        frozen = _named(found, member, about, of)
        if frozen is None or not await self._is_under(found, member, about, of):
            raise Invalid(
                "subject_not_disputable",
                "A party cannot dispute this.",
                field="/subject",
                remedy=_REMEDY,
            )
        return frozen

    async def _is_under(self, found: Agreement, member: str, about: HoldSubject, of: str) -> bool:
        match about:
            case HoldSubject.MEMO:
                return await agreement_of(self._database, of) == found.id
            case HoldSubject.REFERRAL:
                return await self._sees_referral(self._database, of, member, found.id)
            case _:
                return True


def _named(found: Agreement, member: str, about: HoldSubject, of: str) -> str | None:
    assert found.terms is not None
    covered = found.terms.term_for(of) is not None
    if about is HoldSubject.TERM and covered:
        return term_of(found.id, of)
    if about is HoldSubject.DATASET and covered and member == found.owner:
        return of
    if about is HoldSubject.AGREEMENT and of == found.id:
        return of
    if about in BY_ID_ALONE and re.fullmatch(IDENTIFIER, of):
        return of
    return None

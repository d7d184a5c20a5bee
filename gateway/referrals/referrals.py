"""Everything about referrals, constructed together, and looked up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import BigInteger, bindparam, or_, select

from gateway.agreements import Agreements
from gateway.agreements.agreement import rfc3339
from gateway.clock import Clock
from gateway.consents.contacts import BlindIndex
from gateway.consents.contacts.blind_index import SUGGESTED_EMAIL
from gateway.database import Database, Query
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.referrals.acts import Acts, bound
from gateway.referrals.disclosing import Disclosing, Releasing
from gateway.referrals.drafting import Drafting
from gateway.referrals.keys import EXACT, of_the_same_person, terms_kept
from gateway.referrals.offering import Offering
from gateway.referrals.policies import Policies
from gateway.referrals.referral import Referral, as_it_stands, at, existing, of_party
from gateway.referrals.run import ReferralRun
from gateway.referrals.states import WORKED_ON
from gateway.referrals.tables import referral, referral_note
from gateway.referrals.telling import Telling, Tellings
from gateway.referrals.views import told_to
from gateway.vault.keyring import KeyRing

_OF_MEMBER = Query(
    as_it_stands()
    .where(
        or_(
            referral.c.owner_id == bindparam("member"),
            (referral.c.recipient_id == bindparam("member")) & referral.c.offered_at.is_not(None),
        ),
        referral.c.id > bindparam("after"),
    )
    .order_by(referral.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_NOTES = Query(
    select(referral_note)
    .where(referral_note.c.referral_id == bindparam("referral"))
    .order_by(referral_note.c.at, referral_note.c.id)
)


class Lookup:
    """Finds referrals for their two sides. Nobody else learns of one, nor how many there are."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    async def show(self, subject: Subject, referral_id: str) -> dict[str, Any]:
        """One referral as this side sees it; the recipient with its own notes."""
        found = await of_party(self._database, referral_id, subject.member, self._clock())
        seen = told_to(subject.member, found, await self._keyring.unlock(found.owner))
        if subject.member == found.recipient:
            seen |= {"notes": await self._notes(found), "resembles": await self._resembling(found)}
        return seen

    async def of_member(self, member: str, *, after: str, limit: int) -> Sequence[dict[str, Any]]:
        """Up to `limit` referrals that the member made or was offered, by id, behind `after`."""
        now = self._clock()
        rows = await self._database.all(_OF_MEMBER, member=member, after=after, most=limit, **at(now))
        found = [Referral(row, now) for row in rows]
        keys = {owner: await self._keyring.unlock(owner) for owner in {one.owner for one in found}}
        return [told_to(member, one, keys[one.owner]) for one in found]

    async def _notes(self, found: Referral) -> list[dict[str, Any]]:
        keys = await self._keyring.unlock(found.recipient)
        return [
            {
                "at": rfc3339(row["at"]),
                "note": keys.open_detail(json.loads(row["sealed"]), bound(found)).decode(),
            }
            for row in await self._database.all(_NOTES, referral=found.id)
        ]

    async def _resembling(self, found: Referral) -> list[str]:
        """Others that were disclosed to it too and may be the same person; a suggestion, told of nobody masked."""
        if found.state not in WORKED_ON:
            return []
        now, terms = self._clock(), await terms_kept(self._database, found.id)
        ids = await of_the_same_person(self._database, found, terms, (*EXACT, SUGGESTED_EMAIL))
        others = [await existing(self._database, one, now) for one in ids]
        return [one.id for one in others if one.state in WORKED_ON]


@dataclass(frozen=True, slots=True)
class Referrals:
    """What drafts referrals, acts on them, discloses, looks them up, and does what comes due."""

    drafting: Drafting
    acts: Acts
    disclosing: Disclosing
    lookup: Lookup
    policies: Policies
    running: ReferralRun

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        agreements: Agreements,
        enforcement: Releasing,
        telling: Telling,
    ) -> Self:
        """`telling` is who tells customers that their data was disclosed, and how it ended."""
        offering = Offering(database, ledger, clock)
        return cls(
            Drafting(database, ledger, agreements, keyring, BlindIndex(keyring), clock),
            Acts(database, ledger, agreements, keyring, clock),
            Disclosing(database, ledger, keyring, enforcement, clock),
            Lookup(database, keyring, clock),
            Policies(database, ledger, agreements),
            ReferralRun(database, ledger, agreements, offering, Tellings(database, telling, clock), clock),
        )

"""Agreements as they stand: loaded, proved, remembered; offered to identity and sliced for the policy."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import BigInteger as SQLInteger
from sqlalchemy import bindparam, or_, select

from gateway.abreast import AskedTogether
from gateway.agreements.agreement import Agreement, agreement_case
from gateway.agreements.dataset_terms import RowPredicate
from gateway.agreements.proof import AGREEMENT_ROW, TamperedAgreement, prove, unproved
from gateway.agreements.tables import agreement
from gateway.agreements.terms import Terms
from gateway.database import Database, Query, Row
from gateway.errors import NotFound
from gateway.identity import Offer
from gateway.ledger import Draft, Kind, Ledger
from gateway.members.members import are_admitted

_OWN = Query(
    select(agreement.c.id)
    .where(
        or_(agreement.c.owner_id == bindparam("member"), agreement.c.recipient_id == bindparam("member")),
        agreement.c.id > bindparam("after"),
    )
    .order_by(agreement.c.id)
    .limit(bindparam("most", type_=SQLInteger))
)
_OWNER = Query(select(agreement.c.owner_id).where(agreement.c.id == bindparam("id")))

_Key = tuple[Any, ...]
_said = itemgetter(*[column.name for column in agreement.c if column.name not in ("terms", "revision")])


class Slice(NamedTuple):
    """What governs one dataset: the policy's `agreement` object, and the row predicates (none: every row)."""

    case: dict[str, Any]
    rows: tuple[RowPredicate, ...]


class Agreements:
    """Every agreement comes from here, and none without proof.

    A proved agreement is remembered under everything its row says, the text by its digest, so that a changed row
    is proved again. A failed proof is never remembered; it is entered in the owner's log once per process.
    """

    def __init__(self, database: Database, ledger: Ledger, *, remembered: int = 1024) -> None:
        self._database = database
        self._ledger = ledger
        self._proved: OrderedDict[_Key, Agreement] = OrderedDict()
        self._reported: OrderedDict[tuple[_Key, str], None] = OrderedDict()
        self._most = remembered
        self._offers = AskedTogether(self._offer)

    async def load(self, agreement_id: str) -> Agreement | None:
        """The agreement in whatever state is proved, `tampered` if none is; None if there is none of that id."""
        row = await self._database.one(AGREEMENT_ROW, id=agreement_id)
        if row is None:
            return None
        known = self._proved.get(_key(row))
        return known if known is not None else await self._prove(agreement_id)

    async def in_force(self, agreement_id: str, now_s: int) -> Agreement | None:
        """The agreement if it is signed by both, proved, begun and not ended at `now_s` (epoch seconds)."""
        found = await self.load(agreement_id)
        return found if found is not None and found.in_force_at(now_s) else None

    async def visible(self, member: str, agreement_id: str) -> Agreement:
        """The agreement, for one of its parties; for anyone else `NotFound`, as if there were none."""
        found = await self.load(agreement_id)
        if found is None or member not in found.parties:
            raise NotFound
        return found

    async def of_member(self, member: str, *, after: str, limit: int) -> Sequence[Agreement]:
        """Up to `limit` agreements that the member is a party to, by id, beginning behind `after`."""
        rows = await self._database.all(_OWN, member=member, after=after, most=limit)
        found = [await self.load(row["id"]) for row in rows]
        return [one for one in found if one is not None]

    async def slice(self, agreement: str, dataset: str) -> Slice:
        """What the policy sees of one dataset, of a draft too; and the rows that are agreed on, which it does not see.

        It is the newest state and carries its own version: where that is not the version which the caller has read,
        comparing versions later makes the caller decide again.
        """
        found = await self.load(agreement)
        if found is None:
            raise NotFound
        term = found.terms.term_for(dataset) if found.terms is not None else None
        return Slice(agreement_case(found, dataset), term.rows if term is not None else ())

    async def offer(self, member: str, agreement: str, now_s: int) -> Offer | None:
        """What a token may say about an agreement: its terms for who may receive while in force, else None.

        That is the recipient, and a third party that the terms name: what it gets depends on the owner's consent at
        each use. Nobody of them may be suspended: a token would be refused anyway at each use, and none is issued.
        """
        return await self._offers.ask((member, agreement, now_s))

    async def _offer(self, asked: tuple[str, str, int]) -> Offer | None:
        member, agreement, now_s = asked
        found = await self.in_force(agreement, now_s)
        if found is None or found.terms is None or not _may_receive(member, found, found.terms):
            return None
        if not await are_admitted(self._database, alliance_id=found.alliance, member_ids=(*found.parties, member)):
            return None
        return Offer(
            datasets={term.dataset: term.purposes for term in found.terms.datasets},
            actions=("read",),
            ends_at=found.terms.ends_at,
        )

    async def owners(self, agreements: Collection[str]) -> set[str]:
        """Whose data these agreements are about; those that do not exist name nobody."""
        rows = [await self._database.one(_OWNER, id=one) for one in agreements]
        return {row["owner_id"] for row in rows if row is not None}

    async def _prove(self, agreement_id: str) -> Agreement | None:
        async with self._database.reading() as snapshot:
            row = await snapshot.one(AGREEMENT_ROW, id=agreement_id)
            if row is None:
                return None
            try:
                proved = await prove(snapshot, row)
            except TamperedAgreement as error:
                fault = error.code
            else:
                return self._remember(_key(row), proved)
        await self._report(row, fault)
        return unproved(row)

    def _remember(self, key: _Key, proved: Agreement) -> Agreement:
        self._proved[key] = proved
        if len(self._proved) > self._most:
            self._proved.popitem(last=False)
        return proved

    async def _report(self, row: Row, fault: str) -> None:
        """Enter a failed proof in the owner's log, once per process and fault; the oldest are forgotten."""
        key = (_key(row), fault)
        if key in self._reported:
            return
        facts = {"act": "agreement_unproved", "agreement": row["id"], "version": row["version"], "fault": fault}
        await self._ledger.record(Draft(log=row["owner_id"], kind=Kind.AGREEMENT, facts=facts))
        self._reported[key] = None
        if len(self._reported) > self._most:
            self._reported.popitem(last=False)


def _may_receive(member: str, found: Agreement, terms: Terms) -> bool:
    return member == found.recipient or member in terms.third_parties


def _key(row: Row) -> _Key:
    """Everything that an agreement's row says of its terms and life."""
    return (*_said(row), hashlib.sha256(bytes(row["terms"])).digest())

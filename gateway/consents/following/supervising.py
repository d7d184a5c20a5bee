"""The owner's side: how far every recipient of its persons has come, and its word that a proof was looked at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, or_, update

from gateway.consents.following.states import State, Step, follow
from gateway.consents.following.tables import follow_up
from gateway.consents.following.views import BY_ID, Views, follow_ups
from gateway.database import Database, Query, Row
from gateway.errors import NotFound
from gateway.identity import Subject
from gateway.ledger import Draft, Kind, Ledger

_OF_OWNER = Query(
    follow_ups()
    .where(
        follow_up.c.owner_id == bindparam("owner"),
        follow_up.c.id > bindparam("after"),
        or_(bindparam("consent", type_=Text) == "", follow_up.c.consent_id == bindparam("consent", type_=Text)),
    )
    .order_by(follow_up.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_VERIFY = Query(
    update(follow_up)
    .values(state=bindparam("reached", type_=Text), verified_at=bindparam("at", type_=BigInteger))
    .where(follow_up.c.id == bindparam("the_id"))
)


class Supervising:
    """What the owner of the data sees and does."""

    def __init__(self, database: Database, ledger: Ledger, views: Views) -> None:
        self._database = database
        self._ledger = ledger
        self._views = views

    async def page(self, subject: Subject, *, consent: str, after: str, limit: int) -> list[dict[str, Any]]:
        """The follow-ups of the member's persons, or those of one consent, by id."""
        given = {"owner": subject.member, "consent": consent, "after": after, "most": limit}
        return [await self._views.described(row) for row in await self._database.all(_OF_OWNER, **given)]

    async def verify(self, subject: Subject, follow_up_id: str) -> dict[str, Any]:
        """The owner has looked at the proof, and takes it. Needs `withdraw`; a second time changes nothing.

        `Conflicting` before the recipient has complied; `NotFound` for everybody but the owner.
        """
        subject.require("withdraw")
        row = await self._owned(subject, follow_up_id)
        async with self._ledger.changing(row["owner_id"]) as change:
            found = await change.tx.one(BY_ID, id=follow_up_id)
            assert found is not None
            if found["verified_at"] is None:
                reached = follow(State(found["state"]), Step.VERIFY)
                await change.tx.run(_VERIFY, the_id=follow_up_id, reached=reached.value, at=change.now_ms)
                facts = {"act": "withdrawal_verified", "actor": subject.actor(), "follow_up": follow_up_id}
                change.enter(Draft(log=row["owner_id"], kind=Kind.CONSENT, facts=facts))
        return await self._views.described(await self._owned(subject, follow_up_id))

    async def _owned(self, subject: Subject, follow_up_id: str) -> Row:
        row = await self._database.one(BY_ID, id=follow_up_id)
        if row is None or row["owner_id"] != subject.member:
            raise NotFound
        return row

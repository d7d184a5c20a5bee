"""The persons that a member lets handle what others confide to it (clause 8.2.1: limit who has contact).

A person has a random id, which tokens and the policy name. The name is sealed under the member's own key and is told
to that member alone.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.fields import members, sentence
from gateway.canonical import canonical
from gateway.confidentiality.filing import Filing, entry
from gateway.confidentiality.intervals import written
from gateway.confidentiality.tables import nda, person
from gateway.database import Database, Query, Reading, Row
from gateway.errors import NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.members import Members
from gateway.members.revision import touch_member
from gateway.vault.keyring import KeyRing

LONGEST_PAGE = 100
_ADD = Query(insert(person))
_BY_ID = Query(select(person).where(person.c.id == bindparam("id"), person.c.member_id == bindparam("member")))
_PAGE = Query(
    select(person, nda.c.covers_from, nda.c.until_at)
    .outerjoin(nda, (nda.c.towards == person.c.id) & (nda.c.member_id == person.c.member_id) & nda.c.ended_at.is_(None))
    .where(person.c.member_id == bindparam("member"), person.c.id > bindparam("after"))
    .order_by(person.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_LEAVE = Query(
    update(person)
    .where(person.c.id == bindparam("the_id"), person.c.left_at.is_(None))
    .values(left_at=bindparam("at", type_=BigInteger))
)


class Persons:
    """Each member's own; another member's person is `NotFound`."""

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, members_: Members) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._members = members_

    async def add(self, filing: Filing, said: dict[str, Any]) -> bytes:
        """Record a person by `name`; answers with the id. Needs `confide`."""
        subject = filing.subject
        subject.require("confide")
        members(said, ("name",), "")
        name = sentence(said["name"], "/name")
        keys = await self._keyring.unlock(subject.member)
        person_id = random_id()

        async def work(change: Change) -> Any:
            sealed = canonical(keys.seal_detail(name.encode(), _bound(person_id))).decode()
            await change.tx.run(
                _ADD,
                id=person_id,
                member_id=subject.member,
                sealed=sealed,
                created_at=change.now_ms,
                left_at=None,
            )
            change.enter(entry(subject.member, "person_recorded", subject, person=person_id))
            return {"id": person_id}

        return await filing.once(self._database, self._ledger, work, subject.member)

    async def page(self, subject: Subject, *, after: str, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` of the member's own persons with their names, by id, beginning behind `after`."""
        rows = await self._database.all(_PAGE, member=subject.member, after=after, most=limit)
        keys = await self._keyring.unlock(subject.member)
        return [
            {
                "id": row["id"],
                "name": keys.open_detail(json.loads(row["sealed"]), _bound(row["id"])).decode(),
                "nda_until": written(row["until_at"]),
                "left_at": written(row["left_at"]),
            }
            for row in rows
        ]

    async def leave(self, subject: Subject, person_id: str) -> None:
        """The person handles nothing any more, from this entry on. Needs `confide`; a second time changes nothing."""
        subject.require("confide")
        known = await own_person(self._database, subject.member, person_id)
        if known["left_at"] is not None:
            return
        owners = await self._members.of_alliance(subject.alliance)
        async with self._ledger.changing(narrows=owners) as change:
            if await change.tx.run(_LEAVE, the_id=person_id, at=change.now_ms):
                await touch_member(change, subject.member)
                change.enter(entry(subject.member, "person_left", subject, person=person_id))


async def own_person(reading: Reading, member: str, person_id: str) -> Row:
    """The row of a member's own person, or `NotFound`."""
    row = await reading.one(_BY_ID, id=person_id, member=member)
    if row is None:
        raise NotFound
    return row


def _bound(person_id: str) -> bytes:
    return canonical({"use": "person", "person": person_id})

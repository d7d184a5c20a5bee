"""The need-to-know roster (clause 8.2.1): which persons may see a dataset under an agreement.

The member that employs them lists them. Either party strikes one, at once, live tokens included; only who struck a
person lists that person again, so that the owner's no is not undone by the other side, and for no longer than the
employer did. Where several strike the same person, the owner's no counts, whoever was first; then the recipient's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, select, update
from sqlalchemy import Text as SQLText

from gateway.agreements.fields import instant, members
from gateway.agreements.revision import touch_agreement
from gateway.clock import MILLISECONDS
from gateway.confidentiality.filing import Place, Places, entry
from gateway.confidentiality.intervals import written
from gateway.confidentiality.persons import own_person
from gateway.confidentiality.tables import roster_entry
from gateway.database import Database, Query, Row
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger

_ALL = Query(
    select(roster_entry)
    .where(
        roster_entry.c.agreement_id == bindparam("agreement_id"), roster_entry.c.dataset_id == bindparam("dataset_id")
    )
    .order_by(roster_entry.c.person_id)
)
_ONE = Query(
    select(roster_entry).where(
        roster_entry.c.agreement_id == bindparam("agreement_id"),
        roster_entry.c.dataset_id == bindparam("dataset_id"),
        roster_entry.c.person_id == bindparam("person"),
    )
)
_ADD = Query(insert(roster_entry))
_SET = Query(
    update(roster_entry)
    .where(
        roster_entry.c.agreement_id == bindparam("the_agreement"),
        roster_entry.c.dataset_id == bindparam("the_dataset"),
        roster_entry.c.person_id == bindparam("the_person"),
    )
    .values(
        listed_at=bindparam("listed", type_=BigInteger),
        until_at=bindparam("until", type_=BigInteger),
        struck_at=bindparam("struck", type_=BigInteger),
        struck_by=bindparam("by", type_=SQLText),
    )
)


class Rosters:
    """Listing and striking. Both parties see the whole roster, by ids; a third party sees its own persons."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def show(self, subject: Subject, agreement: str, dataset: str) -> list[dict[str, Any]]:
        """Who is, and was, on the roster."""
        place = await self._places.of(subject, agreement, dataset)
        rows = await self._database.all(_ALL, **place.names)
        return [_described(row) for row in rows if subject.member in (*place.agreement.parties, row["member_id"])]

    async def enlist(
        self, subject: Subject, agreement: str, dataset: str, person: str, said: dict[str, Any]
    ) -> dict[str, Any]:
        """Put one of one's own persons on the roster, perhaps only `until` an instant. Needs `confide`.

        `Refused` for a person whom another member has struck. Whoever struck another's person lists it again, until
        when its employer had said, or sooner. Nobody lists a person who has left. The same again changes nothing.
        """
        subject.require("confide")
        members(said, (), "", optional=("until",))
        until = instant(said["until"], "/until") * MILLISECONDS if "until" in said else None
        place = await self._places.standing(subject, agreement, dataset)
        async with self._ledger.changing(narrows=[place.owner]) as change:
            known = await change.tx.one(_ONE, **place.names, person=person)
            if known is None and subject.member == place.owner:
                raise Refused((Reason("RECIPIENT_ONLY"),))
            again = known is not None and known["struck_by"] == subject.member
            employer = known["member_id"] if known is not None and again else subject.member
            if (await own_person(change.tx, employer, person))["left_at"] is not None:
                raise Conflicting("person_left", "This person has left.", field="/person")
            if known is not None and employer != subject.member:
                until = _no_longer(until, known["until_at"])
            if until is not None and until <= change.now_ms:
                raise Invalid("interval_over", "It has ended already.", field="/until")
            if known is not None and known["struck_by"] not in (None, subject.member):
                raise Refused((Reason("STRUCK_BY_ANOTHER", "8.2.1"),))
            if known is None:
                await _add(change, place, subject, person, until)
            elif known["struck_at"] is not None or known["until_at"] != until:
                await _set(change, place, person, listed=change.now_ms, until=until)
            else:
                return _described(known)
            await touch_agreement(change, agreement)
            more = {} if until is None else {"until": written(until)}
            change.enter(entry(place.owner, "person_listed", subject, person=person, **place.facts(), **more))
            return await _read(change, place, person)

    async def strike(self, subject: Subject, agreement: str, dataset: str, person: str) -> dict[str, Any]:
        """Take a person off the roster: refused from the next call on. Needs `confide`; twice changes nothing.

        Both parties may, and the member that employs the person. A no that another one has said before becomes the
        stronger side's own.
        """
        subject.require("confide")
        place = await self._places.of(subject, agreement, dataset)
        async with self._ledger.changing(narrows=[place.owner]) as change:
            known = await change.tx.one(_ONE, **place.names, person=person)
            if known is None or subject.member not in (*place.agreement.parties, known["member_id"]):
                raise NotFound
            if known["struck_at"] is None or _outranks(place, subject.member, known["struck_by"]):
                struck = {"listed": known["listed_at"], "until": known["until_at"], "struck": change.now_ms}
                await _set(change, place, person, **struck, by=subject.member)
                await touch_agreement(change, agreement)
                change.enter(entry(place.owner, "person_struck", subject, person=person, **place.facts()))
            return await _read(change, place, person)


def _no_longer(until: int | None, listed: int | None) -> int | None:
    """The end of a place that another than the employer gives back: as it was listed, or sooner."""
    if until is None or listed is None:
        return until if listed is None else listed
    if until > listed:
        raise Invalid("interval_beyond", "Its employer listed this person for less long.", field="/until")
    return until


def _outranks(place: Place, member: str, other: str) -> bool:
    """Whose no counts more: the owner's, then the recipient's, then that of whoever else employs the person."""
    parties = place.agreement.parties
    return member in parties and (other not in parties or parties.index(member) < parties.index(other))


async def _add(change: Change, place: Place, subject: Subject, person: str, until: int | None) -> None:
    await change.tx.run(
        _ADD,
        **place.names,
        person_id=person,
        member_id=subject.member,
        listed_at=change.now_ms,
        until_at=until,
        struck_at=None,
        struck_by=None,
    )


async def _set(
    change: Change,
    place: Place,
    person: str,
    *,
    listed: int,
    until: int | None,
    struck: int | None = None,
    by: str | None = None,
) -> None:
    key = {"the_agreement": place.agreement.id, "the_dataset": place.dataset, "the_person": person}
    await change.tx.run(_SET, **key, listed=listed, until=until, struck=struck, by=by)


async def _read(change: Change, place: Place, person: str) -> dict[str, Any]:
    row = await change.tx.one(_ONE, **place.names, person=person)
    assert row is not None
    return _described(row)


def _described(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    return {
        "person": row["person_id"],
        "member": row["member_id"],
        "listed_at": written(row["listed_at"]),
        "until": written(row["until_at"]),
        "struck_at": written(row["struck_at"]),
        "struck_by": row["struck_by"],
    }

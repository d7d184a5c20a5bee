"""NDAs (clause 8.2.1): a member's undertaking to an owner or to the alliance, and each person's to its employer.

Both are statements that the member signs with a key for agreements, `typ` `nda+jws`. The undertaking names the
classes that it covers; the person's NDA names the SHA-256 of the signed paper, which the employer keeps. One stands
per pair; another may follow it without a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update
from sqlalchemy import Text as SQLText

from gateway.agreements.fields import IDENTIFIER, choice, items, matching
from gateway.confidentiality.classes import CONFIDENTIAL
from gateway.confidentiality.filing import entry
from gateway.confidentiality.intervals import continued, stated, written
from gateway.confidentiality.persons import own_person
from gateway.confidentiality.statements import SHA256, Statement, spent, verified_key
from gateway.confidentiality.tables import nda
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.members import Members
from gateway.members.members import is_admitted
from gateway.members.revision import touch_member

TYP: Final = "nda+jws"
_ADD = Query(insert(nda))
_BY_TEXT = Query(select(nda).where(nda.c.text_sha256 == bindparam("sha256")))
_BY_ID = Query(select(nda).where(nda.c.id == bindparam("id")))
_STANDING = Query(
    select(nda).where(
        nda.c.member_id == bindparam("member"), nda.c.towards == bindparam("towards"), nda.c.ended_at.is_(None)
    )
)
_STANDING_TOWARDS = Query(
    select(nda).where(
        nda.c.member_id == bindparam("member"),
        nda.c.towards.in_([bindparam(name, type_=SQLText) for name in ("owner", "alliance", "person")]),
        nda.c.ended_at.is_(None),
    )
)
_END = Query(
    update(nda)
    .where(nda.c.id == bindparam("the_id"), nda.c.ended_at.is_(None))
    .values(ended_at=bindparam("at", type_=BigInteger))
)


@dataclass(frozen=True, slots=True)
class Undertaking:
    """What an NDA says: whose it is, towards whom (an owner, the alliance, a person), and from when until when (ms)."""

    kind: str
    member: str
    towards: str
    begins: int
    ends: int
    classes: tuple[str, ...]


class NDAs:
    """Filing NDAs and ending them."""

    def __init__(self, database: Database, ledger: Ledger, members: Members) -> None:
        self._database = database
        self._ledger = ledger
        self._members = members

    async def undertake(self, subject: Subject, jws: str) -> dict[str, Any]:
        """File the member's own undertaking, to an owner of its alliance or to the alliance itself. Needs `sign`."""
        subject.require("sign")
        statement = organisation_statement(jws)
        statement.name("alliance", subject.alliance)
        statement.name("member", subject.member)
        said = organisation_nda(statement)
        if said.towards == subject.member:
            raise Invalid("nda_to_oneself", "Nobody undertakes towards itself.", field="/towards")
        to_alliance = said.towards == subject.alliance
        if not to_alliance and not await is_admitted(
            self._database, alliance_id=subject.alliance, member_id=said.towards
        ):
            raise Invalid("party_unknown", "There is no such admitted member in your alliance.", field="/towards")
        log = said.towards
        return await self._file(subject, statement, said, log, confirmed_by=None if to_alliance else said.towards)

    async def record(self, subject: Subject, person_id: str, jws: str) -> dict[str, Any]:
        """File the NDA of one of the member's own persons. Needs `sign`."""
        subject.require("sign")
        statement = person_statement(jws)
        statement.name("alliance", subject.alliance)
        statement.name("member", subject.member)
        statement.name("person", person_id)
        known = await own_person(self._database, subject.member, person_id)
        if known["left_at"] is not None:
            raise Conflicting("person_left", "This person has left.", field="/person")
        return await self._file(subject, statement, person_nda(statement), subject.alliance, confirmed_by=None)

    async def end(self, subject: Subject, nda_id: str) -> dict[str, Any]:
        """End an NDA: from this entry on nothing confidential leaves on the strength of it. Needs `sign`.

        Whoever gave it may end it, and the owner to whom it was given. A second time changes nothing.
        """
        subject.require("sign")
        row = await self._visible(subject, nda_id)
        if row["ended_at"] is None:
            owners = await self._members.of_alliance(subject.alliance)
            async with self._ledger.changing(subject.alliance, narrows=owners) as change:
                if await change.tx.run(_END, the_id=nda_id, at=change.now_ms):
                    await touch_member(change, row["member_id"])
                    log = subject.alliance if row["kind"] == "person" else row["towards"]
                    change.enter(entry(log, "nda_ended", subject, nda=nda_id, member=row["member_id"]))
        return described(await self._visible(subject, nda_id))

    async def show(self, subject: Subject, nda_id: str) -> dict[str, Any]:
        """An NDA, for whoever gave it and the owner to whom it was given; else `NotFound`."""
        return described(await self._visible(subject, nda_id))

    async def _visible(self, subject: Subject, nda_id: str) -> Row:
        row = await self._database.one(_BY_ID, id=nda_id)
        if row is None or subject.member not in (row["member_id"], row["towards"]):
            raise NotFound
        return row

    async def _file(
        self, subject: Subject, statement: Statement, said: Undertaking, log: str, *, confirmed_by: str | None
    ) -> dict[str, Any]:
        async with self._ledger.changing(log) as change:
            await verified_key(change.tx, statement, member=subject.member, confirmed_by=confirmed_by)
            earlier = await change.tx.one(_BY_TEXT, sha256=statement.sha256)
            if earlier is not None:
                if earlier["ended_at"] is not None:
                    raise spent()
                return described(earlier)
            standing = await change.tx.one(_STANDING, member=said.member, towards=said.towards)
            row = _row(change, statement, said, standing)
            if standing is not None:
                _check_classes(standing, said, change.now_ms)
                await change.tx.run(_END, the_id=standing["id"], at=change.now_ms)
            await change.tx.run(_ADD, **row)
            await touch_member(change, subject.member)
            facts = {"nda": row["id"], "sha256": statement.sha256, "fingerprint": statement.fingerprint}
            change.enter(entry(log, "nda_filed", subject, towards=said.towards, **facts))
        return described(row)


def organisation_statement(jws: str) -> Statement:
    """A member's undertaking, taken apart."""
    names = ("alliance", "member", "towards", "classes", "from", "until")
    return Statement.read(jws, typ=TYP, kind="organisation_nda", names=names)


def organisation_nda(statement: Statement) -> Undertaking:
    """What an undertaking says; `Invalid` names the member of the text that breaks a rule."""
    said = dict(statement.said)
    classes = [
        choice(one, f"/classes/{at}", CONFIDENTIAL) for at, one in enumerate(items(said["classes"], "/classes", 4))
    ]
    if len(set(classes)) != len(classes):
        raise Invalid("terms_repeated", "A class is named twice.", field="/classes")
    towards = matching(said["towards"], "/towards", IDENTIFIER)
    return Undertaking("organisation", said["member"], towards, *stated(said), tuple(classes))


def person_statement(jws: str) -> Statement:
    """A person's NDA as its employer states it, taken apart."""
    names = ("alliance", "member", "person", "evidence_sha256", "from", "until")
    return Statement.read(jws, typ=TYP, kind="person_nda", names=names)


def person_nda(statement: Statement) -> Undertaking:
    """What a person's NDA says; `Invalid` names the member of the text that breaks a rule."""
    said = dict(statement.said)
    matching(said["evidence_sha256"], "/evidence_sha256", SHA256)
    towards = matching(said["person"], "/person", IDENTIFIER)
    return Undertaking("person", said["member"], towards, *stated(said), ())


def undertaking_of(row: Row) -> tuple[Statement, Undertaking]:
    """What the statement of a stored NDA says; `Invalid` where it cannot be read."""
    if row["kind"] == "person":
        statement = person_statement(row["jws"])
        return statement, person_nda(statement)
    statement = organisation_statement(row["jws"])
    return statement, organisation_nda(statement)


async def standing_ndas(reading: Reading, member: str, *, owner: str, alliance: str, person: str) -> Sequence[Row]:
    """The NDAs of a member that stand towards an owner, its alliance, and one of its persons."""
    return await reading.all(_STANDING_TOWARDS, member=member, owner=owner, alliance=alliance, person=person)


def described(row: Any) -> dict[str, Any]:
    """An NDA as those who may see it do."""
    names = ("id", "kind", "towards", "jws", "fingerprint")
    times = {"covers_from": row["covers_from"], "until": row["until_at"], "filed_at": row["filed_at"]}
    told = {name: row[name] for name in names} | {"member": row["member_id"]}
    return told | {name: written(at) for name, at in (times | {"ended_at": row["ended_at"]}).items()}


def _row(change: Change, statement: Statement, said: Undertaking, standing: Row | None) -> dict[str, Any]:
    covered = None if standing is None else (standing["covers_from"], standing["until_at"])
    return {
        "id": random_id(),
        "kind": said.kind,
        "member_id": said.member,
        "towards": said.towards,
        "text_sha256": statement.sha256,
        "jws": statement.jws,
        "fingerprint": statement.fingerprint,
        "covers_from": continued(said.begins, said.ends, now_ms=change.now_ms, standing=covered),
        "until_at": said.ends,
        "filed_at": change.now_ms,
        "ended_at": None,
    }


def _check_classes(standing: Row, said: Undertaking, now_ms: int) -> None:
    """What follows an undertaking that still runs covers what that covers, and more only if it has begun.

    One interval says when all of its classes are covered: those that it adds would be covered before it says so.
    """
    if standing["until_at"] <= now_ms:
        return
    _, before = undertaking_of(standing)
    if not set(before.classes) <= set(said.classes):
        raise Conflicting(
            "nda_covers_less", "It covers fewer classes than what stands.", field="/classes", remedy="End that first."
        )
    if said.begins > now_ms and set(before.classes) != set(said.classes):
        raise Conflicting(
            "nda_covers_more_later",
            "It has not begun, and covers more classes than what stands.",
            field="/from",
            remedy="File it when it begins, or let it begin now.",
        )

"""The end of confidentiality (clause 8.3): by an event with evidence, confirmed by the owner, and by nothing else.

The agreed years lead to a review, not to an end. Either party files that fields have become public or are no longer of
value; the owner signs exactly the text that was filed (`typ` `release+jws`), or declines. What was released under an
agreement is no secret under it any more, and cannot become one again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.agreement import Agreement
from gateway.agreements.dataset_terms import MOST_FIELDS
from gateway.agreements.fields import FIELD_NAME, choice, items, matching, members
from gateway.agreements.revision import touch_agreement
from gateway.canonical import canonical, parse_canonical
from gateway.clock import MILLISECONDS
from gateway.confidentiality.filing import Filing, Place, Places, entry, require_part
from gateway.confidentiality.intervals import written
from gateway.confidentiality.statements import SHA256, Statement, still_proves, verified_key
from gateway.confidentiality.tables import release_event
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger

TYP: Final = "release+jws"
GROUNDS: Final = ("public", "no_value")
_NAMES = ("alliance", "agreement", "dataset", "fields", "ground", "evidence_sha256")
_ADD = Query(insert(release_event))
_BY_ID = Query(select(release_event).where(release_event.c.id == bindparam("id")))
_OF_AGREEMENT = Query(
    select(release_event).where(release_event.c.agreement_id == bindparam("agreement")).order_by(release_event.c.id)
)
_CONFIRMED = Query(
    select(release_event).where(
        release_event.c.agreement_id == bindparam("agreement_id"),
        release_event.c.dataset_id == bindparam("dataset_id"),
        release_event.c.confirmed_at.is_not(None),
    )
)
_OPEN = (
    release_event.c.id == bindparam("the_id"),
    release_event.c.confirmed_at.is_(None),
    release_event.c.declined_at.is_(None),
)
_CONFIRM = Query(
    update(release_event)
    .where(*_OPEN)
    .values(
        confirmed_at=bindparam("at", type_=BigInteger), jws=bindparam("by_jws"), fingerprint=bindparam("by_fingerprint")
    )
)
_DECLINE = Query(update(release_event).where(*_OPEN).values(declined_at=bindparam("at", type_=BigInteger)))


class Releases:
    """Filing, confirming and declining release events."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def file(self, filing: Filing, agreement: str, dataset: str, said: dict[str, Any]) -> bytes:
        """State that `fields` are `public` or of `no_value`, with the SHA-256 of the evidence. Needs `confide`.

        The answer holds the text that the owner is to sign. It may be filed after the agreement's end too.
        """
        filing.subject.require("confide")
        members(said, ("fields", "ground", "evidence_sha256"), "")
        given = items(said["fields"], "/fields", MOST_FIELDS)
        fields = sorted({matching(one, f"/fields/{at}", FIELD_NAME) for at, one in enumerate(given)})
        ground = choice(said["ground"], "/ground", GROUNDS)
        evidence = matching(said["evidence_sha256"], "/evidence_sha256", SHA256)
        place = await self._places.of(filing.subject, agreement, dataset)
        _require_party(place.agreement, filing.subject)
        _check_fields(place, fields)

        async def work(change: Change) -> Any:
            release_id = random_id()
            text = {"v": 1, "kind": "release", "nonce": release_id, "alliance": place.agreement.alliance}
            text |= {**place.facts(), "fields": fields, "ground": ground, "evidence_sha256": evidence}
            row = {
                "id": release_id,
                **place.names,
                "filed_by": filing.subject.member,
                "statement": canonical(text).decode(),
                "filed_at": change.now_ms,
                **dict.fromkeys(("jws", "fingerprint", "confirmed_at", "declined_at")),
            }
            await change.tx.run(_ADD, **row)
            facts = {"release": release_id, "ground": ground, "evidence_sha256": evidence}
            change.enter(entry(place.owner, "release_filed", filing.subject, **place.facts(), **facts))
            return _described(row)

        return await filing.once(self._database, self._ledger, work, place.owner)

    async def confirm(self, subject: Subject, agreement: str, release: str, jws: str) -> dict[str, Any]:
        """The owner signs the filed text: the fields are no secret under the agreement from now on. Needs `sign`."""
        subject.require("sign")
        statement = release_statement(jws)
        found, row = await self._of_owner(subject, agreement, release)
        if canonical(dict(statement.said)).decode() != row["statement"]:
            raise Invalid("statement_of_another", "What was signed is not the filed text.", field="/jws")
        async with self._ledger.changing(found.owner) as change:
            await verified_key(change.tx, statement, member=found.owner, confirmed_by=found.recipient)
            signed = {"by_jws": jws, "by_fingerprint": statement.fingerprint}
            if await change.tx.run(_CONFIRM, the_id=release, at=change.now_ms, **signed):
                await touch_agreement(change, agreement)
                facts = {"release": release, "sha256": statement.sha256, "fingerprint": statement.fingerprint}
                of = {"agreement": agreement, "dataset": row["dataset_id"]}
                change.enter(entry(found.owner, "release_confirmed", subject, **of, **facts))
            elif (await _existing(change.tx, agreement, release))["confirmed_at"] is None:
                raise Conflicting("release_declined", "It was declined.", remedy="File it anew.")
        return _described(await _existing(self._database, agreement, release))

    async def decline(self, subject: Subject, agreement: str, release: str) -> dict[str, Any]:
        """The owner does not agree: the duty goes on. Needs `confide`; a second time changes nothing."""
        subject.require("confide")
        found, _ = await self._of_owner(subject, agreement, release)
        async with self._ledger.changing(found.owner) as change:
            if await change.tx.run(_DECLINE, the_id=release, at=change.now_ms):
                change.enter(entry(found.owner, "release_declined", subject, agreement=agreement, release=release))
            elif (await _existing(change.tx, agreement, release))["declined_at"] is None:
                raise Conflicting("release_confirmed", "It was confirmed.")
        return _described(await _existing(self._database, agreement, release))

    async def duty(self, subject: Subject, agreement: str) -> dict[str, Any]:
        """How long the duty of secrecy lasts: when it is to be reviewed, and every release event."""
        found = await self._places.agreement(subject, agreement)
        require_part(found, subject)
        review = found.confidential_until
        rows = await self._database.all(_OF_AGREEMENT, agreement=agreement)
        return {
            "agreement": agreement,
            "review_on": written(None if review is None else review * MILLISECONDS),
            "ends_on": None,
            "releases": [_described(row) for row in rows],
        }

    async def _of_owner(self, subject: Subject, agreement: str, release: str) -> tuple[Agreement, Row]:
        found = await self._places.agreement(subject, agreement)
        row = await _existing(self._database, agreement, release)
        if subject.member != found.owner:
            raise Refused((Reason("OWNER_ONLY"),))
        return found, row


def release_statement(jws: str) -> Statement:
    """An owner's confirmation, taken apart."""
    return Statement.read(jws, typ=TYP, kind="release", names=_NAMES)


async def released_fields(reading: Reading, *, agreement: str, dataset: str, owner: str) -> frozenset[str]:
    """The fields of a dataset that its owner has released under an agreement, as it signed."""
    fields: set[str] = set()
    for row in await reading.all(_CONFIRMED, agreement_id=agreement, dataset_id=dataset):
        try:
            statement = release_statement(row["jws"])
        except Invalid:
            continue
        same = canonical(dict(statement.said)).decode() == row["statement"]
        here = (statement.said["agreement"], statement.said["dataset"]) == (agreement, dataset)
        if same and here and await still_proves(reading, statement, member=owner, signed_at=row["confirmed_at"]):
            fields |= set(statement.said["fields"])
    return frozenset(fields)


def _require_party(found: Agreement, subject: Subject) -> None:
    if subject.member not in found.parties:
        raise Refused((Reason("PARTY_ONLY"),))


def _check_fields(place: Place, fields: list[str]) -> None:
    term = place.agreement.terms.term_for(place.dataset) if place.agreement.terms else None
    for at, name in enumerate(fields):
        if term is None or name not in term.fields:
            raise Invalid("field_unknown", "The terms do not cover this field.", field=f"/fields/{at}")


async def _existing(reading: Reading, agreement: str, release: str) -> Row:
    row = await reading.one(_BY_ID, id=release)
    if row is None or row["agreement_id"] != agreement:
        raise NotFound
    return row


def _described(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    said = parse_canonical(row["statement"].encode())
    return {
        "id": row["id"],
        "agreement": row["agreement_id"],
        "dataset": row["dataset_id"],
        "fields": said["fields"],
        "ground": said["ground"],
        "evidence_sha256": said["evidence_sha256"],
        "filed_by": row["filed_by"],
        "statement": row["statement"],
        "jws": row["jws"],
        "filed_at": written(row["filed_at"]),
        "confirmed_at": written(row["confirmed_at"]),
        "declined_at": written(row["declined_at"]),
    }

"""Onward grants (clause 8.2.2): the owner's written consent to a third party's use, per recipient and purpose.

A statement that the owner signs, `typ` `onward-grant+jws`. It counts only under an agreement whose terms allow
`written_consent`, and the owner revokes it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.agreements.agreement import Agreement
from gateway.agreements.dataset_terms import MOST_PURPOSES
from gateway.agreements.fields import IDENTIFIER, PURPOSE, items, matching
from gateway.agreements.revision import touch_agreement
from gateway.confidentiality.filing import Places, entry
from gateway.confidentiality.intervals import stated, written
from gateway.confidentiality.statements import Statement, spent, verified_key
from gateway.confidentiality.tables import onward_grant
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Ledger

TYP: Final = "onward-grant+jws"
_ADD = Query(insert(onward_grant))
_BY_TEXT = Query(select(onward_grant).where(onward_grant.c.text_sha256 == bindparam("sha256")))
_OF_AGREEMENT = Query(
    select(onward_grant).where(onward_grant.c.agreement_id == bindparam("agreement")).order_by(onward_grant.c.id)
)
_STANDING = Query(
    select(onward_grant)
    .where(
        onward_grant.c.agreement_id == bindparam("agreement"),
        onward_grant.c.recipient_id == bindparam("recipient"),
        onward_grant.c.revoked_at.is_(None),
    )
    .order_by(onward_grant.c.id)
)
_BY_ID = Query(
    select(onward_grant).where(
        onward_grant.c.id == bindparam("id"), onward_grant.c.agreement_id == bindparam("agreement")
    )
)
_REVOKE = Query(
    update(onward_grant)
    .where(onward_grant.c.id == bindparam("the_id"), onward_grant.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at", type_=BigInteger))
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a grant says: to whom, for which purposes, from when until when (ms)."""

    agreement: str
    recipient: str
    purposes: tuple[str, ...]
    begins: int
    ends: int


class OnwardGrants:
    """Granting and revoking. Those with a part in the agreement see the grants."""

    def __init__(self, database: Database, ledger: Ledger, places: Places) -> None:
        self._database = database
        self._ledger = ledger
        self._places = places

    async def give(self, subject: Subject, agreement_id: str, jws: str) -> dict[str, Any]:
        """File the owner's grant. Needs `sign`; the same again changes nothing, and one that was revoked stays so."""
        subject.require("sign")
        statement = grant_statement(jws)
        said = onward(statement)
        found = await self._places.agreement(subject, agreement_id)
        if subject.member != found.owner:
            raise Refused((Reason("OWNER_ONLY"),))
        statement.name("alliance", found.alliance)
        statement.name("agreement", found.id)
        _check(found, said)
        async with self._ledger.changing(found.owner) as change:
            await verified_key(change.tx, statement, member=found.owner, confirmed_by=found.recipient)
            earlier = await change.tx.one(_BY_TEXT, sha256=statement.sha256)
            if earlier is not None:
                if earlier["revoked_at"] is not None:
                    raise spent()
                return described(earlier)
            if said.ends <= change.now_ms:
                raise Invalid("interval_over", "It has ended already.", field="/until")
            row = {
                "id": random_id(),
                "agreement_id": found.id,
                "recipient_id": said.recipient,
                "text_sha256": statement.sha256,
                "jws": jws,
                "fingerprint": statement.fingerprint,
                "granted_at": change.now_ms,
                "revoked_at": None,
            }
            await change.tx.run(_ADD, **row)
            await touch_agreement(change, found.id)
            facts = {"agreement": found.id, "grant": row["id"], "recipient": said.recipient}
            facts |= {"sha256": statement.sha256, "fingerprint": statement.fingerprint}
            change.enter(entry(found.owner, "onward_granted", subject, **facts))
        return described(row)

    async def revoke(self, subject: Subject, agreement_id: str, grant_id: str) -> dict[str, Any]:
        """Take a grant back: no permit follows for that third party. Needs `sign`; a second time changes nothing."""
        subject.require("sign")
        found = await self._places.agreement(subject, agreement_id)
        row = await self._existing(self._database, found, grant_id)
        if subject.member != found.owner:
            raise Refused((Reason("OWNER_ONLY"),))
        if row["revoked_at"] is None:
            async with self._ledger.changing(narrows=[found.owner]) as change:
                if await change.tx.run(_REVOKE, the_id=grant_id, at=change.now_ms):
                    await touch_agreement(change, found.id)
                    facts = {"agreement": found.id, "grant": grant_id, "recipient": row["recipient_id"]}
                    change.enter(entry(found.owner, "onward_revoked", subject, **facts))
        return described(await self._existing(self._database, found, grant_id))

    async def of_agreement(self, subject: Subject, agreement_id: str) -> list[dict[str, Any]]:
        """Every grant under an agreement; a third party sees its own."""
        found = await self._places.agreement(subject, agreement_id)
        rows = await self._database.all(_OF_AGREEMENT, agreement=found.id)
        return [described(row) for row in rows if subject.member in (*found.parties, row["recipient_id"])]

    async def _existing(self, reading: Reading, found: Agreement, grant_id: str) -> Row:
        row = await reading.one(_BY_ID, id=grant_id, agreement=found.id)
        if row is None:
            raise NotFound
        return row


def grant_statement(jws: str) -> Statement:
    """An onward grant, taken apart."""
    names = ("alliance", "agreement", "recipient", "purposes", "from", "until")
    return Statement.read(jws, typ=TYP, kind="onward_grant", names=names)


def onward(statement: Statement) -> Grant:
    """What a grant says; `Invalid` names the member of the text that breaks a rule."""
    said = dict(statement.said)
    given = items(said["purposes"], "/purposes", MOST_PURPOSES)
    purposes = tuple(matching(one, f"/purposes/{at}", PURPOSE) for at, one in enumerate(given))
    if len(set(purposes)) != len(purposes):
        raise Invalid("terms_repeated", "A purpose is named twice.", field="/purposes")
    agreement = matching(said["agreement"], "/agreement", IDENTIFIER)
    recipient = matching(said["recipient"], "/recipient", IDENTIFIER)
    return Grant(agreement, recipient, purposes, *stated(said))


async def standing_grants(reading: Reading, agreement: str, recipient: str) -> list[Row]:
    """The grants to a third party that are not revoked."""
    return list(await reading.all(_STANDING, agreement=agreement, recipient=recipient))


def described(row: Any) -> dict[str, Any]:
    """A grant as the parties see it."""
    told = {name: row[name] for name in ("id", "jws", "fingerprint")}
    told |= {"agreement": row["agreement_id"], "recipient": row["recipient_id"]}
    return told | {"granted_at": written(row["granted_at"]), "revoked_at": written(row["revoked_at"])}


def _check(found: Agreement, said: Grant) -> None:
    """The terms allow the grant, to this third party, for these purposes."""
    if found.terms is None or found.state != "signed":
        raise Conflicting("agreement_not_signed", "There is nothing to grant under this agreement.")
    if found.terms.onward != "written_consent":
        raise Conflicting("onward_forbidden", "The terms forbid onward use.", remedy="Agree on it first.")
    if said.recipient not in found.terms.third_parties:
        raise Invalid("third_party_unknown", "The terms do not name this third party.", field="/recipient")
    agreed = {purpose for term in found.terms.datasets for purpose in term.purposes}
    for at, purpose in enumerate(said.purposes):
        if purpose not in agreed:
            raise Invalid("purpose_not_agreed", "The terms do not name this purpose.", field=f"/purposes/{at}")

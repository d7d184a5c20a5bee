"""What stands beside the terms when a request is judged, as exact intervals in epoch seconds.

A row alone proves nothing where a signature is asked for: NDAs and grants are read from what was signed, and the
signatures verified; one that does not hold is as if it were not there. What holds is remembered by its text and row.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Text as SQLText
from sqlalchemy import and_, bindparam, select

from gateway.agreements.tables import agreement as agreements
from gateway.confidentiality.classes import CONFIDENTIAL, ConfidentialClasses
from gateway.confidentiality.intervals import Interval, interval, lasting
from gateway.confidentiality.ndas import Undertaking, standing_ndas, undertaking_of
from gateway.confidentiality.onward import Grant, grant_statement, onward, standing_grants
from gateway.confidentiality.releases import released_fields
from gateway.confidentiality.statements import Statement, still_proves
from gateway.confidentiality.tables import assessment, participation, person, roster_entry, transfer_mechanism
from gateway.database import Query, Reading, Row
from gateway.errors import Invalid

NOBODY: Final = "none"
"""The person where the token names none."""

_of_owner = participation.alias("of_owner")
_of_recipient = participation.alias("of_recipient")
_dataset = bindparam("dataset", type_=SQLText)


def _stands(table: Any) -> Any:
    return and_(table.c.agreement_id == agreements.c.id, table.c.dataset_id == _dataset, table.c.ended_at.is_(None))


def _takes_part(table: Any, member: Any) -> Any:
    of = (table.c.agreement_id == agreements.c.id, table.c.dataset_id == _dataset, table.c.member_id == member)
    return and_(*of, table.c.opted_out_at.is_(None))


_FACTS = Query(
    select(
        agreements.c.alliance_id,
        agreements.c.owner_id,
        agreements.c.recipient_id,
        _of_owner.c.opted_in_at.label("owner_in"),
        _of_recipient.c.opted_in_at.label("recipient_in"),
        person.c.id.label("person"),
        roster_entry.c.listed_at,
        roster_entry.c.until_at.label("listed_until"),
        assessment.c.covers_from.label("assessed_from"),
        assessment.c.until_at.label("assessed_until"),
        transfer_mechanism.c.accepted_at,
        transfer_mechanism.c.until_at.label("accepted_until"),
    )
    .select_from(agreements)
    .outerjoin(_of_owner, _takes_part(_of_owner, agreements.c.owner_id))
    .outerjoin(_of_recipient, _takes_part(_of_recipient, agreements.c.recipient_id))
    .outerjoin(
        person,
        and_(
            person.c.id == bindparam("person", type_=SQLText),
            person.c.member_id == bindparam("member", type_=SQLText),
            person.c.left_at.is_(None),
        ),
    )
    .outerjoin(
        roster_entry,
        and_(
            roster_entry.c.agreement_id == agreements.c.id,
            roster_entry.c.dataset_id == _dataset,
            roster_entry.c.person_id == person.c.id,
            roster_entry.c.member_id == person.c.member_id,
            roster_entry.c.struck_at.is_(None),
        ),
    )
    .outerjoin(assessment, _stands(assessment))
    .outerjoin(transfer_mechanism, and_(_stands(transfer_mechanism), transfer_mechanism.c.accepted_at.is_not(None)))
    .where(agreements.c.id == bindparam("agreement", type_=SQLText))
)


class Circumstances:
    """The `circumstances` and `onward_consents` of the policy's input; what does not stand is not there."""

    def __init__(self, classes: ConfidentialClasses, *, remembered: int = 4096) -> None:
        self._classes = classes
        self._held: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        self._most = remembered

    async def of(self, reading: Reading, *, agreement: str, dataset: str, member: str, person: str) -> dict[str, Any]:
        """For one member (and one of its persons, or `none`) that asks for a dataset under an agreement."""
        row = await reading.one(_FACTS, agreement=agreement, dataset=dataset, member=member, person=person)
        if row is None:
            return {"circumstances": {}, "onward_consents": []}
        given = await self._undertakings(reading, row, dataset, member)
        intervals = {
            "owner_participation": interval(row["owner_in"]),
            "recipient_participation": interval(row["recipient_in"]),
            "organisation_nda": _longest([one for one in given if one.kind == "organisation"]),
            "person_nda": _longest([one for one in given if one.kind == "person"]),
            "roster": interval(row["listed_at"], row["listed_until"]),
            "assessment": interval(row["assessed_from"], row["assessed_until"]),
            "transfer": interval(row["accepted_at"], row["accepted_until"]),
        }
        return {
            "circumstances": {name: one for name, one in intervals.items() if one is not None},
            "onward_consents": await self._onward(reading, row, agreement, member),
        }

    async def released(self, reading: Reading, *, agreement: str, dataset: str, owner: str) -> frozenset[str]:
        """The fields of a dataset that its owner has released from secrecy under an agreement (clause 8.3)."""
        return await released_fields(reading, agreement=agreement, dataset=dataset, owner=owner)

    async def _undertakings(self, reading: Reading, facts: Row, dataset: str, member: str) -> list[Undertaking]:
        """The NDAs that count: towards the owner or the alliance for all of the dataset's classes, and the person's."""
        towards = {"owner": facts["owner_id"], "alliance": facts["alliance_id"], "person": facts["person"] or NOBODY}
        found = []
        for row in await standing_ndas(reading, member, **towards):
            said = await self._proved_nda(reading, row)
            if said is not None and await self._covers(reading, said, dataset):
                found.append(replace(said, begins=row["covers_from"]))
        return found

    async def _covers(self, reading: Reading, said: Undertaking, dataset: str) -> bool:
        """An undertaking that leaves out a class which the dataset has does not count for the dataset."""
        if said.kind == "person" or set(said.classes) == set(CONFIDENTIAL):
            return True
        return set(await self._classes.classes_of(reading, dataset=dataset)) <= set(said.classes)

    async def _onward(self, reading: Reading, facts: Row, agreement: str, member: str) -> list[dict[str, Any]]:
        if member in (facts["owner_id"], facts["recipient_id"]):
            return []
        grants: list[dict[str, Any]] = []
        for row in await standing_grants(reading, agreement, member):
            said = await self._proved_grant(reading, row, facts["owner_id"])
            if said is not None and (said.agreement, said.recipient) == (agreement, member):
                grants += [{"purpose": one, **lasting(said.begins, said.ends)} for one in said.purposes]
        return grants

    async def _proved_nda(self, reading: Reading, row: Row) -> Undertaking | None:
        """What a stored NDA says, if its member signed it and the row names the same; else None."""
        try:
            statement, said = undertaking_of(row)
        except Invalid:
            return None
        named = (said.kind, said.member, said.towards) == (row["kind"], row["member_id"], row["towards"])
        return said if named and await self._holds(reading, statement, row, said.member, row["filed_at"]) else None

    async def _proved_grant(self, reading: Reading, row: Row, owner: str) -> Grant | None:
        """What a stored grant says, if the owner signed it; else None."""
        try:
            statement = grant_statement(row["jws"])
            said = onward(statement)
        except Invalid:
            return None
        return said if await self._holds(reading, statement, row, owner, row["granted_at"]) else None

    async def _holds(self, reading: Reading, statement: Statement, row: Row, signer: str, at: int) -> bool:
        """Whether the signature holds. What held is remembered; a failure never is."""
        if (statement.sha256, statement.fingerprint) != (row["text_sha256"], row["fingerprint"]):
            return False
        key = (row["id"], statement.jws, signer, at)
        if key in self._held:
            return True
        if not await still_proves(reading, statement, member=signer, signed_at=at):
            return False
        self._held[key] = None
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return True


def _longest(given: list[Undertaking]) -> Interval | None:
    """Of undertakings that all began before they were filed, the one that lasts longest covers what the others do."""
    if not given:
        return None
    last = max(given, key=lambda one: one.ends)
    return lasting(last.begins, last.ends)

"""Attestations (clause 1.3.3): made and corrected by a member's signature, marked as false by two operators.

A correction takes the place of what it corrects, which is kept. What is marked as false, corrected or not, opens a
breach with the original signed text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, bindparam, insert, or_, select, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import seconds
from gateway.database import AlreadyExists, Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import only, said
from gateway.members.attestations.statement import OF_THE_MEMBER, Statement, named_key, verified
from gateway.members.attestations.tables import attestation
from gateway.members.keys import held_signing_key

FALSE_ATTESTATION: Final = "9.1.3"
"""The type of the breach that a false attestation is."""
_LONGEST_GROUNDS: Final = 500

_ADD = Query(insert(attestation))
_FIND = Query(select(attestation).where(attestation.c.id == bindparam("id")))
_PAGE = Query(
    select(attestation)
    .where(
        attestation.c.alliance_id == bindparam("alliance"),
        or_(attestation.c.member_id == bindparam("viewer"), attestation.c.about == OF_THE_MEMBER),
        attestation.c.id > bindparam("after"),
    )
    .order_by(attestation.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_SET_STATE = Query(
    update(attestation)
    .where(attestation.c.id == bindparam("the_id"), attestation.c.state == bindparam("former"))
    .values(state=bindparam("new_state"), breach=bindparam("opened"))
)


class DatasetOwners(Protocol):
    """Whose a dataset is; the catalogue supplies it."""

    async def owner_of(self, reading: Reading, *, alliance: str, dataset: str) -> str | None:
        """The member that owns a dataset, or None where the alliance has no such dataset."""


class Breaches(Protocol):
    """Where breaches are opened; the package of cases supplies it."""

    async def open(
        self,
        change: Change,
        *,
        alliance: str,
        member: str,
        kind: str,
        subject: str,
        evidence: Mapping[str, str],
        actor: Mapping[str, str],
    ) -> str:
        """Open a breach by a member in this transaction, with its own entry in the alliance's log; returns its id.

        `kind` is the clause that names the type of breach, `subject` the id of what was broken, `evidence` what proves
        it, `actor` who wants it. The change has locked the alliance's log.
        """


class Attestations:
    """What members have attested; each act is an entry in the operator's log of the alliance."""

    def __init__(self, database: Database, ledger: Ledger, datasets: DatasetOwners, breaches: Breaches) -> None:
        self._database = database
        self._ledger = ledger
        self._datasets = datasets
        self._breaches = breaches

    def acts(self) -> list[Act]:
        """`mark_attestation_false`, which needs two operators."""
        return [Act("mark_attestation_false", self._check, self._mark)]

    async def make(self, subject: Subject, jws: str) -> dict[str, Any]:
        """Put a signed statement on record; returns it as `describe` does. Needs the action `sign`.

        `Invalid` unless the member's own active signing key signed it for this alliance, as itself. `NotFound` for
        another's dataset, or another's attestation to correct; `Conflicting` where it was corrected or made already.
        """
        subject.require("sign")
        fingerprint, attestation_id = named_key(jws), random_id()
        digest = sha256(jws.encode()).hexdigest()
        try:
            async with self._ledger.changing(subject.alliance) as change:
                said_ = await self._signed_by(change, subject, fingerprint, jws)
                await self._require_own(change.tx, subject, said_)
                if said_.corrects:
                    await _correct(change, subject, said_.corrects)
                row = {
                    "id": attestation_id,
                    "alliance_id": subject.alliance,
                    "member_id": subject.member,
                    "about": said_.about,
                    "jws": jws,
                    "sha256": digest,
                    "corrects": said_.corrects or None,
                    "made_at": change.now_ms,
                    "state": "standing",
                    "breach": None,
                }
                await change.tx.run(_ADD, **row)
                facts = {"attestation": attestation_id, "about": said_.about, "sha256": digest, "key": fingerprint}
                corrected = {"corrects": said_.corrects} if said_.corrects else {}
                actor = {"member": subject.member, "client": subject.client}
                change.enter(_entry(subject.alliance, "attested", actor, **facts, **corrected))
        except AlreadyExists:
            raise Conflicting("attested_already", "This statement is on record already.", field="jws") from None
        return describe(row)

    async def page(self, subject: Subject, *, after: str, limit: int) -> list[dict[str, Any]]:
        """One's own attestations, and what others of the alliance attested about themselves; by id."""
        rows = await self._database.all(
            _PAGE, alliance=subject.alliance, viewer=subject.member, after=after, most=limit
        )
        return [describe(row) for row in rows]

    async def marking(self, attestation_id: str, *, grounds: str) -> tuple[str, dict[str, Any]]:
        """The alliance, and the arguments of `mark_attestation_false` that name exactly this statement."""
        row = await _row(self._database, attestation_id)
        return row["alliance_id"], {"attestation": row["id"], "sha256": row["sha256"], "grounds": grounds}

    async def _signed_by(self, change: Change, subject: Subject, fingerprint: str, jws: str) -> Statement:
        key = await held_signing_key(change.tx, fingerprint)
        if key is None or key.member != subject.member or key.state != "active":
            raise Invalid("signing_key_unknown", "That is no active signing key of yours.", field="jws")
        statement = verified(jws, key.jwk)
        if (statement.alliance, statement.member) != (subject.alliance, subject.member):
            raise Invalid("statement_of_another", "The statement is not yours in this alliance.", field="jws")
        return statement

    async def _require_own(self, reading: Reading, subject: Subject, statement: Statement) -> None:
        if statement.about == OF_THE_MEMBER:
            return
        owner = await self._datasets.owner_of(reading, alliance=subject.alliance, dataset=statement.about)
        if owner != subject.member:
            raise NotFound

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        await self._require(reading, of, arguments)

    async def _mark(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """What was attested is false; returns the breach that it opens."""
        row = await self._require(change.tx, mandate.alliance, arguments)
        breach = await self._breaches.open(
            change,
            alliance=mandate.alliance,
            member=row["member_id"],
            kind=FALSE_ATTESTATION,
            subject=row["id"],
            evidence={"attestation": row["jws"], "sha256": row["sha256"], "grounds": arguments["grounds"]},
            actor=mandate.actor(),
        )
        moved = await change.tx.run(_SET_STATE, the_id=row["id"], former=row["state"], new_state="false", opened=breach)
        if moved != 1:
            raise Conflicting("attestation_moved", "The attestation has just changed.", field="attestation")
        facts = {"attestation": row["id"], "member": row["member_id"], "sha256": row["sha256"], "breach": breach}
        change.enter(_entry(mandate.alliance, "attestation_marked_false", mandate.actor(), **facts))
        return breach

    async def _require(self, reading: Reading, of: str, arguments: Arguments) -> Row:
        only(arguments, "attestation", "sha256", "grounds")
        if not 0 < len(said(arguments, "grounds").strip()) <= _LONGEST_GROUNDS:
            raise Invalid("grounds_missing", f"Grounds have 1 to {_LONGEST_GROUNDS} characters.", field="grounds")
        row = await _row(reading, said(arguments, "attestation"))
        if row["alliance_id"] != of:
            raise NotFound
        if row["sha256"] != said(arguments, "sha256") or sha256(row["jws"].encode()).hexdigest() != row["sha256"]:
            raise Conflicting("attestation_differs", "The attestation is another one.", field="sha256")
        if row["state"] == "false":
            raise Conflicting("marked_false", "The attestation is marked as false already.", field="attestation")
        return row


def describe(row: Any) -> dict[str, Any]:
    """An attestation as members see it; `jws` is the original."""
    named = {name: row[name] for name in ("id", "about", "jws", "sha256", "corrects", "state")}
    made = datetime.fromtimestamp(seconds(row["made_at"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**named, "member": row["member_id"], "made_at": made}


async def _row(reading: Reading, attestation_id: str) -> Row:
    row = await reading.one(_FIND, id=attestation_id)
    if row is None:
        raise NotFound
    return row


async def _correct(change: Change, subject: Subject, corrected: str) -> None:
    row = await _row(change.tx, corrected)
    if row["member_id"] != subject.member:
        raise NotFound
    if await change.tx.run(_SET_STATE, the_id=corrected, former="standing", new_state="corrected", opened=None) != 1:
        raise Conflicting(
            "attestation_not_standing", "Only what stands can be corrected.", field="corrects", remedy="Read it again."
        )


def _entry(alliance: str, act: str, actor: Mapping[str, str], **facts: Any) -> Draft:
    return Draft(log=alliance, kind=Kind.ADMIN, facts={"act": act, "actor": dict(actor), **facts})

"""A member's documents are renewed by two people, and its qualification with them (clause 2.1.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import Clock
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.identity.tables import client
from gateway.ledger import Change, Draft, Kind
from gateway.members.admission.documents import Document, qualified_until
from gateway.members.admission.dossier import (
    accept_document,
    admission_entry,
    current_documents,
    find_document,
    member_row,
    replace_document,
)
from gateway.members.arguments import only, said
from gateway.members.revision import touch_member
from gateway.members.tables import member

_QUALIFY = Query(update(member).where(member.c.id == bindparam("the_id")).values(qualified_until=bindparam("until")))
_END_TOKENS = Query(
    update(client).where(client.c.member_id == bindparam("of_member")).values(version=client.c.version + 1)
)
_OTHERS = Query(
    select(member.c.id)
    .where(member.c.alliance_id == bindparam("alliance"), member.c.state != "prospect")
    .order_by(member.c.id)
)


class Renewal:
    """The act `renew_document`. Whoever filed the document does not approve it."""

    def __init__(self, database: Database, clock: Clock, *, grace_days: int) -> None:
        self._database = database
        self._clock = clock
        self._grace_days = grace_days

    def acts(self) -> list[Act]:
        """`renew_document`: what was filed counts, in place of what it replaces."""
        return [Act("renew_document", self._check, self._renew, self._narrowed)]

    async def terms(self, document_id: str) -> tuple[str, dict[str, Any]]:
        """The alliance, and the arguments that name exactly this document."""
        found = await find_document(self._database, document_id)
        company = await member_row(self._database, found.member)
        return company["alliance_id"], {"member": found.member, "document": found.id, "sha256": found.sha256}

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        await self._require(reading, of, arguments, self._clock())

    async def _renew(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        found = await self._require(change.tx, mandate.alliance, arguments, change.now_ms)
        if mandate.approver == found.uploaded_by:
            raise Refused((Reason("TOOK_PART", "2.1.2"),), remedy="Somebody else than who filed it approves.")
        former = (await member_row(change.tx, found.member))["qualified_until"]
        if found.replaces is not None:
            await replace_document(change, found.replaces)
        await accept_document(change, found.id)
        until = qualified_until(await current_documents(change.tx, found.member), self._grace_days)
        await change.tx.run(_QUALIFY, the_id=found.member, until=until)
        await touch_member(change, found.member)
        facts = {
            "member": found.member,
            "document": found.id,
            "document_kind": found.kind.value,
            "sha256": found.sha256,
        }
        ends = {"former_qualified_until": former, "qualified_until": until}
        change.enter(admission_entry(mandate.alliance, "document_renewed", mandate.actor(), **facts, **ends))
        if until < former:
            await self._shorten(change, mandate, found.member, until)
        return found.id

    async def _shorten(self, change: Change, mandate: Mandate, member_id: str, until: int) -> None:
        """The member's tokens end, and it stands in every log of the alliance, as a suspension does."""
        await change.tx.run(_END_TOKENS, of_member=member_id)
        for row in await change.tx.all(_OTHERS, alliance=mandate.alliance):
            facts = {"act": "qualification_shortened", "actor": mandate.actor(), "member": member_id}
            change.enter(Draft(log=row["id"], kind=Kind.ADMIN, facts={**facts, "qualified_until": until}))

    async def _narrowed(self, of: str, arguments: Arguments) -> Collection[str]:
        """Every owner of the alliance where the qualification becomes shorter; nobody otherwise."""
        found = await self._require(self._database, of, arguments, self._clock())
        current = [one for one in await current_documents(self._database, found.member) if one.id != found.replaces]
        former = (await member_row(self._database, found.member))["qualified_until"]
        if qualified_until([*current, found], self._grace_days) >= former:
            return ()
        return [row["id"] for row in await self._database.all(_OTHERS, alliance=of)]

    async def _require(self, reading: Reading, of: str, arguments: Arguments, now_ms: int) -> Document:
        only(arguments, "member", "document", "sha256")
        found = await find_document(reading, said(arguments, "document"))
        company = await member_row(reading, found.member)
        if found.member != said(arguments, "member") or company["alliance_id"] != of:
            raise NotFound
        if found.sha256 != said(arguments, "sha256"):
            raise Conflicting("document_differs", "The document is another one.", field="sha256")
        if company["state"] == "prospect":
            raise Conflicting("not_admitted", "A prospect's documents are reviewed, not renewed.", field="member")
        if found.state != "waiting":
            raise Conflicting("document_moved", f"The document is {found.state}.", field="document")
        if found.valid_until <= now_ms:
            raise Refused((Reason("QUALIFICATION_EXPIRED", "2.1.1"),), remedy="File a document that is valid.")
        return found

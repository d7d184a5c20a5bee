"""The dossier of a company: its documents, filed and sealed, and what they are together (clause 2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway.clock import Clock
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.admission.documents import Document, DocumentKind, NewDocument, dossier_digest
from gateway.members.admission.papers import Papers
from gateway.members.admission.people import Department, require_department
from gateway.members.admission.tables import document
from gateway.members.tables import member

MOST_AT_ONCE = 16
_MEMBER = Query(select(member).where(member.c.id == bindparam("id")))
_ADD = Query(insert(document))
_FIND = Query(select(document).where(document.c.id == bindparam("id")))
_OF_MEMBER = Query(
    select(document)
    .where(document.c.member_id == bindparam("member"), document.c.state == bindparam("in_state"))
    .order_by(document.c.filed_at, document.c.id)
)
_SET_STATE = Query(
    update(document)
    .where(document.c.id == bindparam("the_id"), document.c.state == bindparam("former"))
    .values(state=bindparam("new_state"))
)


class Dossier:
    """Files documents and shows them. Every act is an entry in the operator's log of the alliance."""

    def __init__(self, database: Database, ledger: Ledger, papers: Papers, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._papers = papers
        self._clock = clock

    async def file(self, member_id: str, documents: Sequence[NewDocument], *, operator: str) -> list[str]:
        """File documents, all or none; returns their ids. The market department's act.

        A prospect's count at once, in place of their predecessors. A member's wait until `renew_document` is decided.

        Raises:
            Invalid: A document breaks a rule of its kind; `UsccInvalid` for a licence whose code is none.
            Conflicting: The operator has acted for another department, or what is replaced is not there.
        """
        if not 0 < len(documents) <= MOST_AT_ONCE:
            raise Invalid("documents_count", f"File 1 to {MOST_AT_ONCE} documents at once.", field="documents")
        company = await member_row(self._database, member_id)
        rows = {random_id(): one.checked(company["uscc"], self._clock()) for one in documents}
        contents = {paper: one.content for paper, one in zip(rows, documents, strict=True)}
        sealed = await self._papers.seal(member_id, "file", contents)
        async with self._ledger.changing(company["alliance_id"]) as change:
            state = "current" if (await member_row(change.tx, member_id))["state"] == "prospect" else "waiting"
            await require_department(
                change.tx,
                alliance=company["alliance_id"],
                member=member_id,
                person=operator,
                department=Department.MARKET,
            )
            for (paper, row), one in zip(rows.items(), documents, strict=True):
                former = await _predecessor(change.tx, member_id, one)
                if former is not None and state == "current":
                    await replace_document(change, former.id)
                await change.tx.run(
                    _ADD,
                    id=paper,
                    member_id=member_id,
                    sealed=sealed[paper],
                    uploaded_by=operator,
                    filed_at=change.now_ms,
                    replaces=None if former is None else former.id,
                    state=state,
                    **row,
                )
                facts = {"document_kind": row["kind"], "sha256": row["sha256"], "ends_at": row["valid_until"]}
                about = {"member": member_id, "document": paper, "state": state, **facts}
                change.enter(admission_entry(company["alliance_id"], "document_filed", {"operator": operator}, **about))
        return list(rows)

    async def current(self, member_id: str) -> tuple[list[Document], str]:
        """The documents that count, and the digest by which reviews name them."""
        await member_row(self._database, member_id)
        found = await current_documents(self._database, member_id)
        return found, dossier_digest(found)

    async def waiting(self, member_id: str) -> list[Document]:
        """What a member has filed and two people have not decided on."""
        await member_row(self._database, member_id)
        return await _in_state(self._database, member_id, "waiting")

    async def open(self, document_id: str, *, operator: str) -> bytes:
        """The file of a document, once it is on record that the operator opens it."""
        found = await self._database.one(_FIND, id=document_id)
        if found is None:
            raise NotFound
        company = await member_row(self._database, found["member_id"])
        return await self._papers.open(
            company["alliance_id"], company["id"], "file", document_id, found["sealed"], operator=operator
        )


async def member_row(reading: Reading, member_id: str) -> Row:
    """The member's row, or `NotFound`."""
    row = await reading.one(_MEMBER, id=member_id)
    if row is None:
        raise NotFound
    return row


async def current_documents(reading: Reading, member_id: str) -> list[Document]:
    """The documents of a company that count."""
    return await _in_state(reading, member_id, "current")


async def find_document(reading: Reading, document_id: str) -> Document:
    """A document in any state, or `NotFound`."""
    row = await reading.one(_FIND, id=document_id)
    if row is None:
        raise NotFound
    return Document.of(row)


async def replace_document(change: Change, document_id: str) -> None:
    """A current document counts no more; `Conflicting` if it did not."""
    await _move(change, document_id, "current", "replaced")


async def accept_document(change: Change, document_id: str) -> None:
    """A waiting document counts; `Conflicting` if it does not wait."""
    await _move(change, document_id, "waiting", "current")


def admission_entry(alliance: str, act: str, actor: dict[str, str], **facts: Any) -> Draft:
    """What was done in an admission, by whom, for the operator's log."""
    return Draft(log=alliance, kind=Kind.ADMIN, facts={"act": act, "actor": actor, **facts})


async def _move(change: Change, document_id: str, former: str, new: str) -> None:
    if await change.tx.run(_SET_STATE, the_id=document_id, former=former, new_state=new) != 1:
        raise Conflicting("document_moved", f"The document is not {former} any more.", field="document")


async def _in_state(reading: Reading, member_id: str, state: str) -> list[Document]:
    return [Document.of(row) for row in await reading.all(_OF_MEMBER, member=member_id, in_state=state)]


async def _predecessor(reading: Reading, member_id: str, new: NewDocument) -> Document | None:
    """The current document that a new one takes the place of: the one named, or the one of its kind."""
    alike = [one for one in await current_documents(reading, member_id) if one.kind is new.kind]
    if new.kind is not DocumentKind.INDUSTRY_CERTIFICATE:
        return alike[0] if alike else None
    found = next((one for one in alike if one.id == new.replaces), None)
    if new.replaces and found is None:
        raise Conflicting("nothing_replaced", "No current certificate has this id.", field="replaces")
    return found

"""What every member that ever received is asked for a request, and what it answers, by its own clock.

A deletion or a correction is no task here: it is followed to each recipient with its proof, as a withdrawal is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Text, bindparam, insert, select, update

from gateway.agreements.fields import own_words
from gateway.canonical import canonical, parse_canonical
from gateway.cases.case import told
from gateway.consents.same_person import subjects_at
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.rights.neighbours import Disclosures
from gateway.rights.receivers import Received, receivers_of, records_of
from gateway.rights.request import Request, entry, existing
from gateway.rights.tables import rights_task
from gateway.vault.keyring import KeyRing

OUTCOMES: Final = ("informed", "restricted", "stopped", "deleted", "retained", "never_received")
"""What a member did: told what it holds, restricted it, stopped, deleted it, keeps it by law, or never had it."""
NO_LONGER_ASKED: Final = "no_longer_asked"
"""The outcome of what ended unanswered: the request was refused or taken back, or its deletion is followed instead."""

_ADD = Query(insert(rights_task))
_BY_ID = Query(select(rights_task).where(rights_task.c.id == bindparam("id")))
_OF_REQUEST = Query(
    select(rights_task).where(rights_task.c.request_id == bindparam("request")).order_by(rights_task.c.member_id)
)
_OF_MEMBER = Query(
    select(rights_task)
    .where(rights_task.c.member_id == bindparam("member"), rights_task.c.id > bindparam("after"))
    .order_by(rights_task.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_END = Query(
    update(rights_task)
    .values(state="done", outcome=NO_LONGER_ASKED, done_at=bindparam("at", type_=BigInteger))
    .where(rights_task.c.request_id == bindparam("request"), rights_task.c.state == "open")
)
_DONE = Query(
    update(rights_task)
    .values(
        state="done",
        outcome=bindparam("what", type_=Text),
        sealed=bindparam("said", type_=Text),
        done_at=bindparam("at", type_=BigInteger),
    )
    .where(rights_task.c.id == bindparam("the_id"), rights_task.c.state == "open")
)


async def ask_recipients(change: Change, of: Request) -> int:
    """Ask everybody who ever received, once for each request; returns how many there are."""
    received = await receivers_of(change.tx, of.person)
    due = of.profile.due(change.now_ms, of.profile.members)
    for member in sorted(received):
        task_id = random_id()
        await change.tx.run(
            _ADD,
            id=task_id,
            request_id=of.id,
            member_id=member,
            state="open",
            outcome="",
            sealed="",
            asked_at=change.now_ms,
            due_at=due.at,
            done_at=None,
            case_id=None,
        )
        facts = {"member": member, "task": task_id, "due_at": due.at}
        change.enter(entry(of, "right_passed_on", {"member": of.owner}, **facts))
    return len(received)


async def end_tasks(change: Change, of: Request) -> None:
    """Ask nobody any more who has not answered yet."""
    count = await change.tx.run(_END, request=of.id, at=change.now_ms)
    if count:
        change.enter(entry(of, "right_tasks_ended", {"member": of.owner}, count=count))


class Tasks:
    """Shows members what they are asked, and takes their answers. Nobody sees another's."""

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, disclosures: Disclosures) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._disclosures = disclosures

    async def page(self, subject: Subject, *, after: str, limit: int) -> Sequence[dict[str, Any]]:
        """Up to `limit` tasks of the subject's member, by id, behind `after`."""
        rows = await self._database.all(_OF_MEMBER, member=subject.member, after=after, most=limit)
        return [describe(row) for row in rows]

    async def show(self, subject: Subject, task_id: str) -> dict[str, Any]:
        """One task of one's own: the consents and the records that the member received, as the disclosure log has them.

        Of what is no longer asked, none.
        """
        row, request = await self._own(subject, task_id)
        async with self._database.reading() as reading:
            is_asked = row["outcome"] != NO_LONGER_ASKED
            received = await receivers_of(reading, request.person) if is_asked else {}
            about = received.get(subject.member, Received(subject.member))
            subjects = await subjects_at(reading, *request.person)
        records = await records_of(self._disclosures, request.person, subjects, about)
        of_whom = {"owner": request.owner, "right": request.kind.value, "law": request.profile.law[request.kind]}
        return describe(row) | of_whom | {"consents": about.consents, "records": records}

    async def answer(self, subject: Subject, task_id: str, outcome: Any, text: Any) -> dict[str, Any]:
        """Say, once, what was done; late is better than never. Needs `withdraw`, which a suspended member has too."""
        subject.require("withdraw")
        if outcome not in OUTCOMES:
            raise Invalid("unknown_outcome", f"An outcome is one of {', '.join(OUTCOMES)}.", field="/outcome")
        said = own_words(text, "/text")
        _, request = await self._own(subject, task_id)
        keys = await self._keyring.unlock(request.owner)
        sealed = canonical(keys.seal_detail(canonical({"text": said}), _bound(task_id))).decode()
        async with self._ledger.changing(request.owner) as change:
            if not await change.tx.run(_DONE, the_id=task_id, what=outcome, said=sealed, at=change.now_ms):
                raise Conflicting("already_answered", "It is answered, or asked no more.", field="/outcome")
            actor = {"member": subject.member, "client": subject.client}
            change.enter(entry(request, "right_task_done", actor, task=task_id, outcome=outcome))
        row, _ = await self._own(subject, task_id)
        return describe(row)

    async def of_request(self, reading: Reading, of: Request) -> list[dict[str, Any]]:
        """Every task of a request with what was answered, for its owner and the person."""
        keys = await self._keyring.unlock(of.owner)
        told_of = []
        for row in await reading.all(_OF_REQUEST, request=of.id):
            words = {}
            if row["sealed"]:
                words = parse_canonical(keys.open_detail(json.loads(row["sealed"]), _bound(row["id"])))
            told_of.append(describe(row) | words)
        return told_of

    async def _own(self, subject: Subject, task_id: str) -> tuple[Row, Request]:
        row = await self._database.one(_BY_ID, id=task_id)
        if row is None or row["member_id"] != subject.member:
            raise NotFound
        return row, await existing(self._database, row["request_id"])


def describe(row: Row) -> dict[str, Any]:
    """A task as its member and the owner see it, without words."""
    same = {name: row[name] for name in ("id", "state", "outcome")}
    at = {name: told(row[name]) for name in ("asked_at", "due_at", "done_at")}
    return {**same, **at, "request": row["request_id"], "member": row["member_id"], "case": row["case_id"]}


def _bound(task_id: str) -> bytes:
    return canonical({"use": "rights_task", "task": task_id})

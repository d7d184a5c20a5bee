"""What the departments have to do about members now (2.1.1, 2.1.3). Read from what stands, so nothing is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, exists, select

from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.errors import NotFound
from gateway.members.admission.documents import COUNTED, DAY_MS
from gateway.members.admission.tables import document, review
from gateway.members.tables import alliance as alliances
from gateway.members.tables import member

NOTICE_DAYS: Final = 30
"""So long before its end a document is a task."""

_ALLIANCE = Query(select(alliances.c.id).where(alliances.c.id == bindparam("id")))
_later = review.alias("later")
_REVIEWS = Query(
    select(review.c.id, review.c.member_id, review.c.next_review)
    .join(member, member.c.id == review.c.member_id)
    .where(
        member.c.alliance_id == bindparam("alliance"),
        member.c.state != "prospect",
        review.c.kind == "finance",
        review.c.next_review <= bindparam("now"),
        ~exists().where(
            _later.c.member_id == review.c.member_id,
            _later.c.kind == "finance",
            _later.c.no > review.c.no,
        ),
    )
)
_DOCUMENTS = Query(
    select(document.c.id, document.c.member_id, document.c.kind, document.c.valid_until)
    .join(member, member.c.id == document.c.member_id)
    .where(
        member.c.alliance_id == bindparam("alliance"),
        member.c.state != "prospect",
        document.c.state == "current",
        document.c.valid_until <= bindparam("soon"),
    )
)


class TaskKind(StrEnum):
    """What is to be done."""

    FINANCE_REVIEW = "finance_review"
    RENEW_DOCUMENT = "renew_document"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do about a member; `about` is the review or the document, `due` in milliseconds."""

    kind: TaskKind
    member: str
    about: str
    due: int


class Tasks:
    """The tasks of an alliance."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of(self, alliance: str) -> Sequence[Task]:
        """Overdue finance reviews, and documents that end within 30 days or have ended; the earliest first.

        `NotFound` for an alliance that there is not: it is not one with nothing to do.
        """
        if await self._database.one(_ALLIANCE, id=alliance) is None:
            raise NotFound
        now = self._clock()
        reviews = await self._database.all(_REVIEWS, alliance=alliance, now=now)
        documents = await self._database.all(_DOCUMENTS, alliance=alliance, soon=now + NOTICE_DAYS * DAY_MS)
        found = [Task(TaskKind.FINANCE_REVIEW, row["member_id"], row["id"], row["next_review"]) for row in reviews]
        found += [
            Task(TaskKind.RENEW_DOCUMENT, row["member_id"], row["id"], row["valid_until"])
            for row in documents
            if row["kind"] in COUNTED
        ]
        return sorted(found, key=lambda one: (one.due, one.about))

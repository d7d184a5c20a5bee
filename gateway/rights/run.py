"""What time does to requests: what is late opens one breach candidate, and what a case kept is deleted after it.

Any number of processes may run it at once, and again: each request is looked at under the lock of its owner's log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import BigInteger, Text, bindparam, or_, select, update

from gateway.apart import Apart
from gateway.cases.case import told
from gateway.cases.opening import NewCase, case_of, open_case
from gateway.cases.steps import CaseKind
from gateway.clock import Clock
from gateway.database import Database, Query, Row
from gateway.ledger import Change, Ledger
from gateway.rights.granting import Granting, kept_for
from gateway.rights.request import Person, decide, entry, existing
from gateway.rights.states import WAITING, RequestState, RightKind, Step
from gateway.rights.tables import rights_request, rights_task

_PAGE: Final = 200
_LATE = Query(
    select(rights_request.c.id, rights_request.c.owner_id)
    .where(
        or_(*(rights_request.c.state == state.value for state in WAITING)),
        rights_request.c.due_at < bindparam("now", type_=BigInteger),
        rights_request.c.case_id.is_(None),
        rights_request.c.id > bindparam("after", type_=Text),
    )
    .order_by(rights_request.c.id)
    .limit(_PAGE)
)
_LATE_TASK = (
    select(rights_task, rights_request.c.owner_id, rights_request.c.alliance_id)
    .join(rights_request, rights_request.c.id == rights_task.c.request_id)
    .where(
        rights_task.c.state == "open",
        rights_task.c.due_at < bindparam("now", type_=BigInteger),
        rights_task.c.case_id.is_(None),
        rights_request.c.state != RequestState.REFUSED.value,
        rights_request.c.state != RequestState.RETRACTED.value,
    )
)
_LATE_TASKS = Query(
    _LATE_TASK.where(rights_task.c.id > bindparam("after", type_=Text)).order_by(rights_task.c.id).limit(_PAGE)
)
_STILL_LATE = Query(_LATE_TASK.where(rights_task.c.id == bindparam("id")))
_KEPT = Query(
    select(rights_request.c.id, rights_request.c.owner_id, rights_request.c.pseudonym)
    .where(
        rights_request.c.state == RequestState.RESTRICTED.value,
        rights_request.c.kind == RightKind.DELETION.value,
        rights_request.c.id > bindparam("after", type_=Text),
    )
    .order_by(rights_request.c.id)
    .limit(_PAGE)
)
_NAME_CASE = Query(
    update(rights_request)
    .values(case_id=bindparam("the_case"))
    .where(rights_request.c.id == bindparam("the_id"), rights_request.c.case_id.is_(None))
)
_NAME_TASKS_CASE = Query(
    update(rights_task)
    .values(case_id=bindparam("the_case"))
    .where(rights_task.c.id == bindparam("the_id"), rights_task.c.case_id.is_(None))
)
_BY_GATEWAY: Final = {"gateway": "rights"}


class RightsRun:
    """Looks at what is late, and at what was kept."""

    def __init__(self, database: Database, ledger: Ledger, granting: Granting, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._granting = granting
        self._clock = clock

    async def run(self) -> int:
        """Open a candidate for each request and task that is late, once, and delete what is kept no more.

        Returns how many candidates were opened; a second run finds none. An owner whose log cannot be written keeps
        nobody else waiting: its error is raised at the end.
        """
        opened = 0
        with Apart() as each:
            async for row in self._pages(_LATE, now=self._clock()):
                opened += await each(self._open(row["id"], row["owner_id"]))
            async for row in self._pages(_LATE_TASKS, now=self._clock()):
                opened += await each(self._open_for_task(row["id"], row["owner_id"]))
            async for row in self._pages(_KEPT):
                await each(self._delete_kept(row))
        return opened

    async def _pages(self, query: Query, **given: int) -> AsyncIterator[Row]:
        after = ""
        while rows := await self._database.all(query, after=after, **given):
            for row in rows:
                yield row
                after = row["id"]

    async def _open(self, request_id: str, owner: str) -> bool:
        async with self._ledger.changing(owner) as change:
            standing = await existing(change.tx, request_id)
            if standing.state not in WAITING or change.now_ms <= standing.due_at:
                return False
            unsure = " It was reckoned with a calendar that was not published yet." if standing.provisional else ""
            new = NewCase(
                alliance=standing.alliance,
                log=owner,
                kind=CaseKind.BREACH,
                respondent=owner,
                claim=f"A person's request was not answered by {told(standing.due_at)}.{unsure}",
                actor=_BY_GATEWAY,
                subject_kind="rights_request",
                subject_id=request_id,
                origin=f"right:{request_id}",
                facts={"due_at": standing.due_at, "right": standing.kind.value},
            )
            return await _opened(change, _NAME_CASE, request_id, new)

    async def _open_for_task(self, task_id: str, owner: str) -> bool:
        async with self._ledger.changing(owner) as change:
            row = await change.tx.one(_STILL_LATE, id=task_id, now=change.now_ms)
            if row is None:
                return False
            new = NewCase(
                alliance=row["alliance_id"],
                log=owner,
                kind=CaseKind.BREACH,
                claimant=owner,
                respondent=row["member_id"],
                claim=f"A person's request that was passed on was not answered by {told(row['due_at'])}.",
                actor=_BY_GATEWAY,
                subject_kind="rights_task",
                subject_id=row["id"],
                origin=f"right:{row['request_id']}:{row['member_id']}",
                facts={"due_at": row["due_at"]},
            )
            return await _opened(change, _NAME_TASKS_CASE, row["id"], new)

    async def _delete_kept(self, row: Row) -> None:
        owner = row["owner_id"]
        if await kept_for(self._database, Person(owner, row["pseudonym"])):
            return
        async with self._ledger.changing(owner, narrows={owner}) as change:
            standing = await existing(change.tx, row["id"])
            if standing.state is not RequestState.RESTRICTED or await kept_for(change.tx, standing.person):
                return
            granted = await self._granting.delete(change, standing, _BY_GATEWAY)
            await decide(change.tx, standing, Step.ANSWER, granted.outcome, standing.answer, change.now_ms)
            change.enter(entry(standing, "right_granted", _BY_GATEWAY, **granted.outcome))


async def _opened(change: Change, naming: Query, subject: str, new: NewCase) -> bool:
    """Whether this change opened the case of an origin; either way the subject names it then."""
    made = await open_case(change, new)
    await change.tx.run(naming, the_id=subject, the_case=made or await case_of(change.tx, new.origin))
    return made is not None

"""Cases as they stand: a member sees those that it is a party to, and everybody else's are not there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, bindparam, func, or_, select

from gateway.agreements.held import OPEN_END_MS
from gateway.agreements.holds import describe_hold, holds_of
from gateway.cases.case import Case, CaseView, Evidence, told
from gateway.cases.steps import CONFIRMED, CaseKind
from gateway.cases.tables import case_evidence, case_file
from gateway.clock import Clock
from gateway.database import Database, Query, Reading
from gateway.errors import NotFound

_BY_ID = Query(select(case_file).where(case_file.c.id == bindparam("id")))
_EVIDENCE = Query(
    select(case_evidence).where(case_evidence.c.case_id == bindparam("case")).order_by(case_evidence.c.no)
)
_MOST = bindparam("most", type_=BigInteger)
_OF_MEMBER = Query(
    select(case_file)
    .where(
        or_(case_file.c.claimant_id == bindparam("member"), case_file.c.respondent_id == bindparam("member")),
        case_file.c.id > bindparam("after"),
    )
    .order_by(case_file.c.id)
    .limit(_MOST)
)
_OF_ALLIANCE = Query(
    select(case_file)
    .where(case_file.c.alliance_id == bindparam("alliance"))
    .order_by(case_file.c.opened_at.desc(), case_file.c.id)
    .limit(_MOST)
)
_STRIKES = Query(
    select(func.count().label("count")).where(
        case_file.c.respondent_id == bindparam("member"),
        case_file.c.kind != CaseKind.DISPUTE.value,
        or_(*(case_file.c.state == state for state in CONFIRMED)),
        case_file.c.opened_at >= bindparam("since", type_=BigInteger),
    )
)


class Cases:
    """Looks cases up. Nobody but their parties and the alliance's operators learns of one."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def visible(self, member: str, case_id: str) -> CaseView:
        """One case, for a party to it; for anyone else `NotFound`, as if there were none."""
        found = await existing(self._database, case_id)
        if member not in found.parties:
            raise NotFound
        return await self.view(found)

    async def view(self, found: Case) -> CaseView:
        """A case with its evidence and the holds that were placed for it."""
        evidence = [Evidence.of(row) for row in await self._database.all(_EVIDENCE, case=found.id)]
        now = self._clock()
        placed = await holds_of(self._database, found.alliance, found.id)
        return CaseView(found, evidence, [_told(describe_hold(row, now)) for row in placed])

    async def find(self, case_id: str) -> Case:
        """A case of whatever alliance, for operators; or `NotFound`."""
        return await existing(self._database, case_id)

    async def of_member(self, member: str, *, after: str, limit: int) -> Sequence[Case]:
        """Up to `limit` cases that the member is a party to, by id, behind `after`."""
        rows = await self._database.all(_OF_MEMBER, member=member, after=after, most=limit)
        return [Case.of(row) for row in rows]

    async def of_alliance(self, alliance: str, *, limit: int) -> Sequence[Case]:
        """Up to `limit` cases of an alliance, newest first."""
        return [Case.of(row) for row in await self._database.all(_OF_ALLIANCE, alliance=alliance, most=limit)]

    async def confirmed_against(self, member: str, *, since_ms: int) -> int:
        """How many breaches of a member were confirmed, cured ones included, of cases opened since an instant."""
        row = await self._database.one(_STRIKES, member=member, since=since_ms)
        return 0 if row is None else int(row["count"])


async def existing(reading: Reading, case_id: str) -> Case:
    """A case as this reading sees it, or `NotFound`."""
    row = await reading.one(_BY_ID, id=case_id)
    if row is None:
        raise NotFound
    return Case.of(row)


async def evidence_of(reading: Reading, case_id: str) -> Sequence[Evidence]:
    """The evidence of a case, in the order it was added."""
    return [Evidence.of(row) for row in await reading.all(_EVIDENCE, case=case_id)]


def _told(described: dict[str, object]) -> dict[str, object]:
    """With its instants as the API writes them; an open end is null."""
    times = {name: described[name] for name in ("from", "until", "lifted_at")}
    return described | {
        name: told(at) if isinstance(at, int) and at < OPEN_END_MS else None for name, at in times.items()
    }

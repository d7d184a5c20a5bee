"""Who gave and who received how much, from the ledger's disclosures alone (clause 1.3.2). It decides nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from gateway.database import Database, Query
from gateway.errors import Invalid
from gateway.ledger.disclosures import disclosures
from gateway.members.tables import member as member_table

LONGEST_PERIOD_MS = 366 * 24 * 60 * 60 * 1000
_MEMBERS = Query(
    select(member_table.c.id, member_table.c.name)
    .where(member_table.c.alliance_id == bindparam("alliance"))
    .order_by(member_table.c.id)
)


class Flow(NamedTuple):
    """What one member let another have."""

    accesses: int = 0
    records: int = 0

    def plus(self, other: Flow) -> Flow:
        """Both together."""
        return Flow(self.accesses + other.accesses, self.records + other.records)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a member gave to one other and received from it."""

    member: str
    name: str
    given: Flow
    received: Flow

    def describe(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "member": self.member,
            "name": self.name,
            "given": self.given._asdict(),
            "received": self.received._asdict(),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One member's balance from `since_ms` until just before `until_ms`, without those it exchanged nothing with."""

    member: str
    name: str
    since_ms: int
    until_ms: int
    exchanges: tuple[Exchange, ...]

    @property
    def given(self) -> Flow:
        """To all others together."""
        return _sum(one.given for one in self.exchanges)

    @property
    def received(self) -> Flow:
        """From all others together."""
        return _sum(one.received for one in self.exchanges)

    def describe(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "member": self.member,
            "given": self.given._asdict(),
            "received": self.received._asdict(),
            "partners": [one.describe() for one in self.exchanges],
        }


class Reciprocity:
    """Counts disclosures of one alliance at a time, so that a long period takes time and not the whole process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting = asyncio.Lock()

    async def of_alliance(self, alliance: str, since_ms: int, until_ms: int) -> list[Report]:
        """Every member's report, by id; `Invalid` for a period that is none or longer than 366 days."""
        if not 0 <= since_ms < until_ms or until_ms - since_ms > LONGEST_PERIOD_MS:
            raise Invalid("invalid_period", "A period ends after it begins, at most 366 days later.", field="since")
        rows = await self._database.all(_MEMBERS, alliance=alliance)
        names = {row["id"]: row["name"] for row in rows}
        async with self._counting:
            flows = await self._flows(list(names), since_ms, until_ms)
        return [self._report(member, names, flows, since_ms, until_ms) for member in names]

    async def of_member(self, alliance: str, member: str, since_ms: int, until_ms: int) -> Report:
        """A member's own report: of others it says what they and this member exchanged, and nothing else."""
        reports = await self.of_alliance(alliance, since_ms, until_ms)
        return next(report for report in reports if report.member == member)

    async def _flows(self, members: list[str], since_ms: int, until_ms: int) -> dict[tuple[str, str], Flow]:
        flows = {}
        for owner in members:
            found = await disclosures(self._database, owner, since_ms, until_ms)
            for recipient, accesses in found.accesses.items():
                if recipient != owner:
                    flows[owner, recipient] = Flow(accesses, found.records[recipient])
        return flows

    @staticmethod
    def _report(
        member: str, names: dict[str, str], flows: dict[tuple[str, str], Flow], since_ms: int, until_ms: int
    ) -> Report:
        exchanges = [
            Exchange(other, name, flows.get((member, other), Flow()), flows.get((other, member), Flow()))
            for other, name in names.items()
            if (member, other) in flows or (other, member) in flows
        ]
        return Report(member, names[member], since_ms, until_ms, tuple(exchanges))


def _sum(flows: Any) -> Flow:
    total = Flow()
    for flow in flows:
        total = total.plus(flow)
    return total

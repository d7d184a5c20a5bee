"""The small alliance with cases, whose datasets are those of the catalogue, and with duties."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, update

from gateway.catalog.tables import dataset, upload
from gateway.confidentiality.tables import participation
from gateway.database import Query
from gateway.duties.agenda import Agenda
from gateway.duties.returns import Returns
from gateway.duties.run import DutyRun
from gateway.ledger import Draft, Effect, Kind, Opening
from gateway.ledger.warrant import OpeningGroup
from tests.agreements.world import FLIGHTS, Company
from tests.cases.world import DISPUTE, REMEDIES, CaseWorld

_DATASET = Query(insert(dataset))
_UPLOAD = Query(insert(upload))
_TAKE_PART = Query(insert(participation))
_LEAVE = Query(
    update(participation)
    .where(participation.c.member_id == bindparam("member"), participation.c.opted_out_at.is_(None))
    .values(opted_out_at=bindparam("at", type_=BigInteger))
)
DAILY = {
    "every": "day",
    "on": 0,
    "by": "18:00",
    "time_zone": "Asia/Shanghai",
    "calendar": "CN",
    "grace_days": 0,
    "first": "2026-01-05",
}


class DutyWorld(CaseWorld):
    """`numbers` are the catalogue's, by the dataset's id."""

    numbers: dict[str, int]

    def __post_init__(self) -> None:
        self.numbers = {}
        super().__post_init__()

    def restart(self) -> None:
        super().restart()
        self.returns = Returns(self.database, self.ledger, self.agreements, days=30)
        self.agenda = Agenda(self.database, self.agreements, self.clock)
        self.duty_run = self.another_run()

    def another_run(self) -> DutyRun:
        """As a second process would run it."""
        return DutyRun(self.database, self.ledger, self.agreements, self.returns, self.clock)

    async def due(self, *datasets: str, start: str = "", end: str = "", amends: str = "", **cadence: Any) -> str:
        """A signed agreement under which the airline uploads these datasets, by default the flights, every day."""
        lasts = {name: at for name, at in (("start", start), ("end", end), ("amends", amends)) if at}
        names = datasets or (FLIGHTS,)
        for name in names:
            await self.catalogued(name)
        terms = [
            {
                "dataset": name,
                "fields": ["year"],
                "purposes": ["market_analysis"],
                "methods": ["api"],
                "cadence": DAILY | cadence,
            }
            for name in names
        ]
        agreement = await self.signed(datasets=terms, dispute=DISPUTE, remedies=REMEDIES, **lasts)
        for company in (self.airline, self.bank):
            for name in names:
                await self.takes_part(company, agreement, name)
        return agreement

    async def takes_part(self, company: Company, agreement: str, name: str = FLIGHTS, no: int = 1) -> None:
        """A member takes part from now on, for the `no`-th time."""
        at = {"opted_in_at": self.clock(), "opted_out_at": None}
        async with self.database.transaction() as tx:
            await tx.run(_TAKE_PART, agreement_id=agreement, dataset_id=name, member_id=company.id, no=no, **at)

    async def leaves(self, company: Company) -> None:
        """A member takes no part in anything from now on."""
        async with self.database.transaction() as tx:
            await tx.run(_LEAVE, member=company.id, at=self.clock())

    async def catalogued(self, name: str) -> None:
        """A dataset of the airline in the catalogue."""
        if name in self.numbers:
            return
        self.own(self.airline, name)
        self.numbers[name] = secrets.randbits(62)
        async with self.database.transaction() as tx:
            await tx.run(
                _DATASET,
                no=self.numbers[name],
                id=name,
                alliance_id=self.alliance,
                owner_id=self.airline.id,
                name=name,
                kind="market",
                schema="{}",
                subject_field=None,
                version=1,
                created_at=self.clock(),
            )

    async def published(self, name: str = FLIGHTS) -> str:
        """An upload that is published now."""
        upload_id = secrets.token_hex(16)
        async with self.database.transaction() as tx:
            await tx.run(
                _UPLOAD,
                no=secrets.randbits(62),
                id=upload_id,
                dataset_no=self.numbers[name],
                mode="append",
                state="published",
                accepted=1,
                refused=0,
                report="{}",
                started_at=self.clock(),
                touched_at=self.clock(),
                published_at=self.clock(),
            )
        return upload_id

    async def received(self, agreement: str, by: Company, records: int = 1) -> None:
        """An access entry that let a member open so many records under an agreement."""
        group = OpeningGroup(("plain",), ("year",), (), tuple(f"{number:032x}@1" for number in range(records)))
        facts = {"actor": {"member": by.id, "client": by.client}, "agreement": f"{agreement}@3", "action": "read"}
        opening = Opening(FLIGHTS, (group,) if records else ())
        draft = Draft(log=self.airline.id, kind=Kind.ACCESS, effect=Effect.PERMIT, facts=facts, opening=opening)
        await self.ledger.record(draft._replace(narrowing=await self.narrowing(self.airline)))

    def at(self, text: str) -> None:
        """Move the clock to an instant, as 2026-01-05T10:00:00Z."""
        self.clock.now_ms = int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 1000

    async def candidates(self) -> list[dict[str, Any]]:
        """The entries that opened breach candidates."""
        found = [dict(one) for one in await self.entries() if one.get("act") == "case_opened"]
        return [one for one in found if one["case_kind"] == "breach"]

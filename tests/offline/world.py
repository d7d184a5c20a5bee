"""A bank with customers, a hotel that they consent to on paper, and a stranger, on a gateway in this process."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import and_, bindparam, select

from gateway.consents.offline.offline import OfflineConsents
from gateway.consents.offline.tables import offline_row
from gateway.consents.states import Event
from gateway.consents.tables import consent_event, consent_record
from gateway.database import Query, Row
from tests.access.world import Deal, Shared, records
from tests.alliance import Member, instant
from tests.offline.packing import archive, sheet

_STORED = Query(
    select(offline_row.c.line, consent_record.c.id, consent_record.c.pseudonym, consent_event.c.sha256)
    .join(consent_record, consent_record.c.id == offline_row.c.record_id)
    .join(consent_event, and_(consent_event.c.record_id == consent_record.c.id, consent_event.c.sequence == 1))
    .where(offline_row.c.batch_id == bindparam("batch"))
    .order_by(consent_record.c.id)
)


@dataclass
class Desk:
    """What the bank does with paper."""

    shared: Shared
    deal: Deal
    notice: str

    @classmethod
    async def of(cls, shared: Shared, numbers: Iterable[int] = range(1, 61)) -> Desk:
        """A dataset of these customers, agreed with the hotel, and the notice that they were told."""
        deal = await shared.personal(numbers)
        return cls(shared, deal, await shared.bank.notice(deal.dataset, shared.hotel))

    @property
    def offline(self) -> OfflineConsents:
        return self.shared.gateway.offline

    def row(self, number: int, *, ago: int = 600, **over: str) -> dict[str, str]:
        """One signed form, so many seconds old."""
        given = datetime.fromtimestamp(self.shared.bank.now - ago, UTC)
        return {
            "subject": f"C{number:05}",
            "recipient": self.shared.hotel.id,
            "purpose": "customer_referral",
            "fields": "name phone",
            "notice_sha256": self.notice,
            "given": instant(given),
            "staff": "S-17",
            "store": "3",
            "evidence": f"scans/{number}.pdf",
        } | over

    def packed(self, rows: Iterable[Mapping[str, str]]) -> bytes:
        """An archive of forms, each with its scan, and with something that makes it this very archive."""
        listed = list(rows)
        evidence = {row["evidence"]: f"scan of {row['evidence']}".encode() for row in listed}
        return archive(sheet(listed), evidence | {"note.txt": secrets.token_bytes(8)})

    async def send(self, body: bytes, by: Member | None = None, dataset: str = "", **params: str) -> httpx.Response:
        """Import an archive for real, if not said otherwise."""
        member = by or self.shared.bank
        return await member.call(
            "POST",
            f"/v1/datasets/{dataset or self.deal.dataset}/offline-consents",
            await member.token(),
            params={"dry_run": "false"} | params,
            content=body,
            headers={"Content-Type": "application/zip"},
        )

    async def imported(self, *rows: Mapping[str, str]) -> str:
        """Import these forms and return the batch."""
        answer = await self.send(self.packed(rows))
        assert answer.status_code == 201, answer.text
        assert answer.json()["refused"] == 0, answer.text
        return str(answer.json()["batch"])

    async def stored(self, batch: str) -> Sequence[Row]:
        """The rows of a batch by the ids of their records, each with its first event's digest."""
        return await self.shared.gateway.database.all(_STORED, batch=batch)

    async def read(self) -> set[str]:
        """The names of the customers that the hotel can read now."""
        answer = await self.shared.hotel.get(self.deal.path, await self.shared.referral_token(self.deal))
        return {one["name"] for one in records(answer).values()}

    async def draw(self, batch: str, plan: str = "standard") -> list[dict[str, Any]]:
        """Two operators draw the sample."""
        await self.shared.alliance.by_two("sample_offline_batch", batch=batch, plan=plan)
        return await self.offline.sampling.sample(batch)

    async def mark(self, batch: str, row: Mapping[str, Any], verdict: str = "good") -> str:
        """An operator looks at one drawn row; returns how the batch stands."""
        marked = await self.offline.sampling.mark(
            batch, row["line"], verdict, evidence_sha256=row["evidence_sha256"], operator="looker"
        )
        return marked.state.value

    async def accept(self, batch: str) -> None:
        """Two operators accept, and the records follow."""
        await self.shared.alliance.by_two("accept_offline_batch", batch=batch)
        await self.offline.settling.run()

    async def act(self, record: str, event: Event) -> None:
        """A step that one record takes by itself."""
        gateway, owner = self.shared.gateway, self.shared.bank.id
        async with gateway.ledger.changing(owner, narrows={owner}) as change:
            await gateway.consents.records.act(change, record, event, actor={"by": "person"})

    async def states(self, number: int) -> list[str]:
        """The states of a customer's records, oldest first."""
        gateway, owner = self.shared.gateway, self.shared.bank.id
        keys = await gateway.keyring.unlock(owner)
        async with gateway.database.reading() as reading:
            found = await gateway.consents.records.of_person(reading, owner, keys.pseudonym(f"C{number:05}"))
        return [one.state.value for one in found if one.dataset == self.deal.dataset]

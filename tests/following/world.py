"""The bank's customers, whom the hotel received with consent, and inboxes of recipients that may be deaf."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset
from gateway.consents.following import Progress
from gateway.database import Query
from gateway.identity.outward import PostClient
from tests.access.world import Deal, MovableClock, Shared, database_settings, records
from tests.alliance import Member, founded
from tests.identity.key_site import KeySite, new_site

_DATASET = Query(select(dataset).where(dataset.c.id == bindparam("id")))
DAY_S = 24 * 3600
MONDAY_MS = 1_767_578_400_000
"""2026-01-05, 10:00 in Shanghai: a Monday in a week of five business days."""


@dataclass
class Inbox(KeySite):
    """A recipient's server: keeps what it is sent, and takes it unless it is `deaf`."""

    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    deaf: bool = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in lines}
            self.received.append((headers, await reader.readexactly(int(headers["content-length"]))))
            self.status, self.body = "503 Service Unavailable" if self.deaf else "204 No Content", b""
            await self._answer(writer)
        finally:
            writer.close()

    def said(self) -> list[dict[str, Any]]:
        """What was received, parsed."""
        return [json.loads(content) for _, content in self.received]


@dataclass
class Followed:
    """An alliance whose hotel is told at `inbox`."""

    shared: Shared
    inbox: Inbox

    async def received(self, *numbers: int, **over: Any) -> Deal:
        """A deal under which the hotel has read these persons, each with consent."""
        deal = await self.shared.personal(numbers, **over)
        await self.shared.bank.consent(deal.dataset, self.shared.hotel, *[f"C{number:05}" for number in numbers])
        await self.read(deal)
        return deal

    async def read(self, deal: Deal) -> dict[str, Any]:
        """What the hotel can read of a deal now."""
        return records(await self.shared.hotel.get(deal.path, await self.shared.referral_token(deal)))

    async def withdraw(self, deal: Deal, number: int) -> str:
        """The person withdraws; returns the id of the consent."""
        answer = await self.shared.bank.withdraw(deal.dataset, f"C{number:05}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["withdrawn"][0])

    async def register(self, member: Member, uri: str = "") -> None:
        """A member's address; the inbox's by default."""
        answer = await member.call(
            "PUT", "/v1/withdrawals/address", await member.token(), json={"uri": uri or self.inbox.uri}
        )
        assert answer.status_code == 200, answer.text

    async def tell(self) -> None:
        """Send everything that is due."""
        await self.shared.gateway.following.telling.run()

    async def owed(self, member: Member, **params: str) -> list[dict[str, Any]]:
        """What a member must do, or sees as owner."""
        answer = await member.get("/v1/withdrawals", await member.token(), **params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def of_consent(self, consent: str) -> list[dict[str, Any]]:
        """What the bank sees of the end of a consent."""
        return await self.owed(self.shared.bank, role="owner", consent=consent)

    async def answer(self, member: Member, follow_up: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        """A member's answer; returns the response."""
        path = f"/v1/withdrawals/{follow_up}/{what}"
        return await member.post(path, await member.token(), dict(body or {}))

    async def progress(self, deal: Deal, number: int) -> list[Progress]:
        """What the person sees."""
        gateway = self.shared.gateway
        pseudonym = await self.pseudonym(deal, number)
        return list(await gateway.following.of_person(gateway.database, self.shared.bank.id, pseudonym))

    async def pseudonym(self, deal: Deal, number: int) -> str:
        """Of a person of the bank."""
        gateway, bank = self.shared.gateway, self.shared.bank
        row = await gateway.database.one(_DATASET, id=deal.dataset)
        assert row is not None
        return (await gateway.keyring.unlock(bank.id)).pseudonym(Dataset.of(row).subject_of(f"C{number:05}"))

    async def settle(self) -> None:
        """As every server does each minute."""
        await self.shared.gateway.following.settling.run()

    async def entries(self, *acts: str) -> list[dict[str, Any]]:
        """The bank's entries of these acts."""
        return [one for one in await self.shared.entries(self.shared.bank.id) if one.get("act") in acts]


@asynccontextmanager
async def followed_on(
    request: pytest.FixtureRequest, folder: Path, engine: str, **over: Any
) -> AsyncIterator[Followed]:
    """On an engine, on a Monday morning, with an inbox on loopback whose authority the gateway trusts."""
    clock, site = MovableClock(MONDAY_MS), new_site(folder)
    inbox = Inbox(site.certificate, site.key)
    async with (
        database_settings(request, engine) as settings,
        founded(folder, clock, jwks_loopback=True, **settings, **over) as alliance,
        inbox.open(),
    ):
        alliance.gateway.following.telling._post = PostClient(loopback=True, trust=inbox.trust).post
        followed = Followed(Shared(alliance, clock), inbox)
        await followed.register(alliance.members["hotel"])
        yield followed

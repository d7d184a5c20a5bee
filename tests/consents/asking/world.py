"""A bank that asks its customers, a hotel that would like to know them, and a box in which every message lands."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Gateway
from gateway.consents.asking import LINK_PATH, Asking, Browser, Choice, Decision, Visit
from gateway.ledger.stored import entries, state
from gateway.senders import NotSent, Outgoing
from tests import notices
from tests.access.world import MovableClock
from tests.alliance import PERSONAL_SCHEMA, Alliance, Member, founded

BROWSER = Browser("203.0.113.77", "Mozilla/5.0 (Phone)", "POST", LINK_PATH)
_TOKEN = re.compile(re.escape(LINK_PATH) + r"([A-Za-z0-9_-]{43})$")
_CODE = re.compile(r"\b([0-9]{6})\b|验证码([0-9]{6})")


@dataclass
class Box:
    """A sender that keeps what it is given. `deaf`: it takes nothing; `lost`: nobody hears that it has taken it."""

    messages: list[Outgoing] = field(default_factory=list)
    deaf: bool = False
    lost: bool = False

    async def send(self, message: Outgoing) -> None:
        if self.deaf:
            raise NotSent("DEAF")
        self.messages.append(message)
        if self.lost:
            raise NotSent("LOST")

    def to(self, address: str) -> list[str]:
        """The texts that were sent to an address."""
        return [one.text for one in self.messages if one.address == address]

    def link(self, address: str) -> str:
        """The token in the newest link that was sent to an address."""
        found = [match.group(1) for text in self.to(address) if (match := _TOKEN.search(text))]
        return found[-1]

    def code(self, address: str) -> str:
        """The newest code that was sent to an address."""
        found = [match.group(1) or match.group(2) for text in self.to(address) if (match := _CODE.search(text))]
        return found[-1]


@dataclass
class World:
    """Everything at hand."""

    alliance: Alliance
    clock: MovableClock
    box: Box
    dataset: str = ""
    notice: str = ""
    persons: int = 0

    @property
    def gateway(self) -> Gateway:
        return self.alliance.gateway

    @property
    def asking(self) -> Asking:
        return self.gateway.asking

    @property
    def bank(self) -> Member:
        return self.alliance.members["bank"]

    @property
    def hotel(self) -> Member:
        return self.alliance.members["hotel"]

    def phone(self) -> str:
        """A number that nobody had yet."""
        self.persons += 1
        return f"+861380000{self.persons:04}"

    def item(self, **over: Any) -> dict[str, Any]:
        """Name and phone for the hotel; the name may be left out."""
        return {
            "recipient": self.hotel.id,
            "purpose": "customer_referral",
            "fields": ["phone"],
            "optional": ["name"],
        } | over

    def contact(self, *channels: str) -> dict[str, Any]:
        """The hotel may turn to the customer by these channels."""
        item = {"recipient": self.hotel.id, "purpose": "customer_referral", "kind": "contact"}
        return item | {"channels": list(channels)}

    async def ask(self, to: str, /, *items: Mapping[str, Any], **over: Any) -> httpx.Response:
        """Ask a new customer with this number; by default about one item."""
        said = {
            "subject": f"C{to[-5:]}",
            "notice_sha256": self.notice,
            "language": "en",
            "channel": "email" if "@" in to else "sms",
            "address": to,
            "items": list(items) or [self.item()],
        } | over
        path = f"/v1/datasets/{self.dataset}/consent-requests"
        return await self.bank.post(path, await self.bank.token(), said)

    async def asked(self, *items: Mapping[str, Any], **over: Any) -> tuple[str, dict[str, Any]]:
        """A new customer's number, and the answer to having asked it."""
        phone = self.phone()
        answer = await self.ask(phone, *items, **over)
        assert answer.status_code == 201, answer.text
        return phone, answer.json()

    async def visit(self, address: str) -> Visit:
        """Open the newest link that was sent there."""
        opened = await self.asking.open(self.box.link(address), BROWSER)
        found = await self.asking.visit(opened.cookie)
        assert found == opened.visit
        return found

    async def code(self, visit: Visit, address: str) -> str:
        """Have a code sent, a good minute after the last one."""
        self.clock.pass_seconds(61)
        await self.asking.send_code(visit)
        return self.box.code(address)

    async def confirmed(self, address: str) -> Visit:
        """Open the newest link and enter the code."""
        visit = await self.visit(address)
        return await self.asking.confirm(visit, await self.code(visit, address))

    async def give(self, address: str, *optional: str) -> Visit:
        """Give whatever is asked, with these optional fields."""
        visit = await self.confirmed(address)
        decision = Decision(Choice.GIVE, frozenset(optional))
        await self.asking.decide(visit, {one.id: decision for one in await self.asking.about(visit)})
        return visit

    async def found(self, address: str) -> Visit:
        """Type the address into the page's own entry, and open the link that comes."""
        self.clock.pass_seconds(61)
        self.box.messages.clear()
        await self.asking.find(address, "en")
        await self.asking.finding.settle()
        return await self.visit(address)

    async def confirmed_by_own_entry(self, address: str) -> Visit:
        """Found by the page's own entry, and the code is entered."""
        visit = await self.found(address)
        return await self.asking.confirm(visit, await self.code(visit, address))

    async def renew_contact_key(self) -> None:
        """As two operators do; every process notes it within minutes."""
        async with self.gateway.database.transaction() as tx:
            await self.gateway.keyring.renew_own_index_key(tx, self.clock())
        self.clock.pass_seconds(150)

    async def states(self, request: str) -> list[str]:
        """Where a request's items stand, by what its owner is told."""
        answer = await self.bank.get(f"/v1/consent-requests/{request}", await self.bank.token())
        assert answer.status_code == 200, answer.text
        return [one["state"] for one in answer.json()["records"]]

    async def state(self, request: str) -> str:
        """Where a request stands, by what its owner is told."""
        answer = await self.bank.get(f"/v1/consent-requests/{request}", await self.bank.token())
        return str(answer.json()["state"])

    async def entries(self) -> list[dict[str, Any]]:
        """The bank's log."""
        database, log = self.gateway.database, self.bank.id
        size = (await state(database, log)).size
        return [json.loads(row["body"]) for row in await entries(database, log, 0, size)]


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """With a published notice about name, phone and a resident number, and about being written to."""
    clock, box = MovableClock(), Box()
    async with founded(folder, clock, **settings) as alliance:
        senders = alliance.gateway.asking._senders
        senders._by_channel = {"sms": box, "email": box}
        world = World(alliance, clock, box)
        world.dataset = await world.bank.declare(PERSONAL_SCHEMA)
        hotel = notices.party(world.hotel.id, world.hotel.uscc)
        fields = [
            notices.field("phone"),
            notices.field("name"),
            notices.field("id_number", sensitive=True),
        ]
        document = notices.notice(
            notices.party(world.bank.id, world.bank.uscc),
            [
                notices.item(hotel, "customer_referral", fields=fields),
                notices.item(hotel, "customer_referral", channels=["phone", "sms"]),
            ],
        )
        world.notice = await world.bank.publish(world.dataset, "referral", document)
        yield world

"""Two members that share data through a gateway in this process, on either database, with a clock that tests move."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import Gateway, compose
from gateway.clock import system_clock
from gateway.identity import Subject
from gateway.ledger.stored import entries, state
from gateway.vault.providers import LocalKeyring
from tests.alliance import MARKET_SCHEMA, PASSPHRASE, PERSONAL_SCHEMA, Alliance, Member, founded
from tests.databases import database_on

ENGINES = ("sqlite", "postgresql")
PLACES = [
    {"code": "PEK", "city": "Beijing", "price": 310, "margin": 7},
    {"code": "SHA", "city": "Shanghai", "price": 290, "margin": 9},
    {"code": "CAN", "city": "Guangzhou", "price": 250, "margin": 4},
]
_MINUTE_MS = 60_000


@dataclass
class MovableClock:
    """Milliseconds; it stands still between moves, and starts with a minute."""

    ms: int = field(default_factory=lambda: system_clock() // _MINUTE_MS * _MINUTE_MS)

    def __call__(self) -> int:
        return self.ms

    def pass_seconds(self, count: int) -> None:
        """Move on."""
        self.ms += count * 1000


@dataclass(frozen=True)
class Deal:
    """One dataset under one agreement of bank and hotel."""

    agreement: str
    dataset: str

    @property
    def path(self) -> str:
        """Where its records are read."""
        return f"/v1/agreements/{self.agreement}/datasets/{self.dataset}/records"


@dataclass
class Shared:
    """The bank owns data, the hotel reads it, the stranger is a member with no part in it."""

    alliance: Alliance
    clock: MovableClock

    @property
    def gateway(self) -> Gateway:
        return self.alliance.gateway

    @property
    def bank(self) -> Member:
        return self.alliance.members["bank"]

    @property
    def hotel(self) -> Member:
        return self.alliance.members["hotel"]

    @property
    def stranger(self) -> Member:
        return self.alliance.members["stranger"]

    async def places(self, rows: Iterable[Mapping[str, Any]] = PLACES) -> str:
        """A market dataset of the bank with these rows."""
        dataset = await self.bank.declare(MARKET_SCHEMA)
        answer = await self.bank.upload(dataset, rows)
        assert answer.status_code == 201, answer.text
        assert answer.json()["refused"] == 0, answer.text
        return dataset

    async def people(self, numbers: Iterable[int], **over: Any) -> str:
        """A personal dataset of the bank with these people."""
        dataset = await self.bank.declare(PERSONAL_SCHEMA)
        answer = await self.bank.upload(dataset, [person(number) | over for number in numbers])
        assert answer.status_code == 201, answer.text
        assert answer.json()["refused"] == 0, answer.text
        return dataset

    async def market(self, fields: Sequence[str] = ("code", "city", "price"), **over: Any) -> Deal:
        """A signed agreement over a new market dataset."""
        dataset = await self.places()
        return Deal(await self.bank.agree(self.hotel, dataset, fields, **over), dataset)

    async def personal(self, numbers: Iterable[int], fields: Sequence[str] = ("name", "phone"), **over: Any) -> Deal:
        """A signed agreement over a new personal dataset, without a consent yet."""
        dataset = await self.people(numbers)
        over.setdefault("purposes", ["customer_referral"])
        return Deal(await self.bank.agree(self.hotel, dataset, fields, **over), dataset)

    async def token(self, deal: Deal, *purposes: str) -> str:
        """The hotel's token for a deal; by default for market analysis."""
        return await self.hotel.token(self.hotel.under(deal.agreement, deal.dataset, *purposes))

    async def referral_token(self, deal: Deal) -> str:
        """The hotel's token for a deal over people."""
        return await self.token(deal, "customer_referral")

    async def entries(self, log: str) -> list[dict[str, Any]]:
        """The bodies of a log's entries, in order."""
        database = self.gateway.database
        size = (await state(database, log)).size
        return [json.loads(row["body"]) for row in await entries(database, log, 0, size)]

    async def accesses(self, log: str | None = None) -> list[dict[str, Any]]:
        """The access entries of a log, by default the bank's."""
        return [entry for entry in await self.entries(log or self.bank.id) if entry["kind"] == "access"]

    async def last_access(self, log: str | None = None) -> dict[str, Any]:
        """The newest access entry."""
        return (await self.accesses(log))[-1]

    async def subject(self, member: Member, token: str) -> Subject:
        """Who a token stands for, as a route would learn it."""
        headers = [
            (b"authorization", f"DPoP {token}".encode()),
            (b"dpop", member.proof("GET", f"{self.alliance.base}/v1/x", token).encode()),
        ]
        return await self.gateway.identity.authenticate("GET", "/v1/x", headers)


def person(number: int) -> dict[str, str]:
    """One customer."""
    return {
        "customer_no": f"C{number:05}",
        "name": f"Person {number}",
        "phone": f"1380000{number:04}",
        "id_number": f"ID-{number}",
    }


def records(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """The records of a page, by id."""
    assert answer.status_code == 200, answer.text
    found = answer.json()["records"]
    by_id = {one["id"]: one["fields"] for one in found}
    assert len(by_id) == len(found)
    return by_id


def reasons(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The reasons of a problem document or of an entry, in order."""
    return [(one["code"], one["clause"]) for one in document["reasons"]]


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """All that an answer's headers say, but for the nonce, which moves with time."""
    return {name: value for name, value in answer.headers.items() if name != "dpop-nonce"}


@asynccontextmanager
async def shared_on(request: pytest.FixtureRequest, folder: Path, engine: str, **over: Any) -> AsyncIterator[Shared]:
    """An alliance on `sqlite`, or on `postgresql` with its replay windows in Valkey; `over` are more settings."""
    clock = MovableClock()
    async with database_settings(request, engine) as settings, founded(folder, clock, **settings, **over) as alliance:
        yield Shared(alliance, clock)


@asynccontextmanager
async def database_settings(request: pytest.FixtureRequest, engine: str) -> AsyncIterator[dict[str, Any]]:
    """The settings that put a gateway on an engine of its own."""
    if engine == "sqlite":
        yield {}
        return
    with database_on(request.getfixturevalue("postgresql")) as url:
        yield {"database_url": url, "valkey_url": request.getfixturevalue("valkey").url}


@asynccontextmanager
async def second_process(shared: Shared) -> AsyncIterator[Gateway]:
    """Another gateway over the same database, as a second process would compose it."""
    settings = shared.gateway.settings
    keyring = LocalKeyring.open(settings.keyring_path, PASSPHRASE)
    async with compose(settings, keyring, shared.clock, process="second") as gateway:
        yield gateway

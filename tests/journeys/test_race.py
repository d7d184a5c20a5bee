"""Readers against whatever narrows, on both engines: the order of the ledger is the truth.

Afterwards every owner's log is read and compared with every answer that arrived.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.identity.jws import thumbprint
from tests.access.world import PLACES, person
from tests.alliance import MARKET_SCHEMA, PERSONAL_SCHEMA, Member, new_key, public
from tests.databases import database_on
from tests.served import Site, served

PEOPLE = 20
AGREEMENTS = 10
REVOKED = 6
RETIRED = 6
TOKEN_REVOKED = 6
READERS_EACH = 4
LAST_READS = 12
ANSWERED_BETWEEN = 10
PATIENCE_S = 60
SHARED_FIELDS = ("code", "city", "price")
CONSENTED = ("name", "phone")


@dataclass(frozen=True, slots=True)
class Read:
    """One answer that arrived: what of (a subject under a narrowing's kind), and what came."""

    kind: str
    of: str
    began: float
    ended: float
    status: int
    event_id: str = ""
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Something that ended, with the span in which it did."""

    kind: str
    of: str
    began: float
    ended: float


@dataclass
class Race:
    """What is read and narrowed, and everything that happened."""

    site: Site
    people: str = ""
    places: str = ""
    agreement_of_people: str = ""
    record_of: dict[str, str] = field(default_factory=dict)
    """Record of each person."""
    consent_of: dict[str, str] = field(default_factory=dict)
    agreements: dict[str, str] = field(default_factory=dict)
    """The hotel's token for each agreement that will be terminated."""
    lasting: str = ""
    clients: dict[str, tuple[Member, str]] = field(default_factory=dict)
    """Each client that will end, or whose token will: its token under the lasting agreement."""
    referral: str = ""
    reads: list[Read] = field(default_factory=list)
    narrowings: list[Narrowing] = field(default_factory=list)
    over: bool = False

    @property
    def bank(self) -> Member:
        return self.site.alliance.members["bank"]

    @property
    def hotel(self) -> Member:
        return self.site.alliance.members["hotel"]

    async def prepare(self) -> None:
        """Data, consents, agreements and clients, all of them still standing."""
        bank, hotel = self.bank, self.hotel
        self.people, self.places = await bank.declare(PERSONAL_SCHEMA), await bank.declare(MARKET_SCHEMA)
        await bank.upload(self.people, [person(number) for number in range(PEOPLE)])
        await bank.upload(self.places, PLACES)
        names = [person(number)["customer_no"] for number in range(PEOPLE)]
        self.consent_of = dict(zip(names, await bank.consent(self.people, hotel, *names), strict=True))
        self.agreement_of_people = await bank.agree(hotel, self.people, CONSENTED, purposes=["customer_referral"])
        self.referral = await hotel.token(hotel.under(self.agreement_of_people, self.people, "customer_referral"))
        page = await hotel.get(self._path(self.agreement_of_people, self.people), self.referral)
        by_name = {one["fields"]["name"]: one["id"] for one in page.json()["records"]}
        self.record_of = {person(n)["customer_no"]: by_name[person(n)["name"]] for n in range(PEOPLE)}
        for _ in range(AGREEMENTS):
            agreement = await bank.agree(hotel, self.places, SHARED_FIELDS)
            self.agreements[agreement] = await hotel.token(hotel.under(agreement, self.places))
        self.lasting = await bank.agree(hotel, self.places, SHARED_FIELDS)
        for number in range(REVOKED + RETIRED + TOKEN_REVOKED):
            client = await self._client(f"system {number}")
            self.clients[client.client] = client, await client.token(client.under(self.lasting, self.places))

    async def _client(self, name: str) -> Member:
        """Another client of the hotel."""
        made = Member(name, self.site.alliance, id=self.hotel.id)
        made.client = await self.site.alliance.register(made, name)
        await self.site.alliance.by_two("add_client_key", client=made.client, jwk=public(new_key()))
        return made

    @staticmethod
    def _path(agreement: str, dataset: str) -> str:
        return f"/v1/agreements/{agreement}/datasets/{dataset}/records"

    async def run(self) -> None:
        """Read all the time, and narrow everything that can be, in an order by chance."""
        readers = [self._read_people, self._read_person, self._read_agreement, self._read_as_client]
        reading = [asyncio.create_task(self._keep(reader)) for reader in readers for _ in range(READERS_EACH)]
        await asyncio.sleep(0.2)
        await asyncio.gather(self._withdraw_all(), self._terminate_all(), self._end_clients())
        self.over = True
        await asyncio.gather(*reading)
        for _ in range(LAST_READS):
            for reader in readers:
                await reader()

    async def _keep(self, reader: Callable[[], Awaitable[None]]) -> None:
        while not self.over:
            await reader()

    async def _read_people(self) -> None:
        path = self._path(self.agreement_of_people, self.people)
        await self._read("consent", "", self.hotel, path, self.referral)

    async def _read_person(self) -> None:
        who, record = random.choice(list(self.record_of.items()))
        path = self._path(self.agreement_of_people, self.people)
        await self._read("consent", who, self.hotel, f"{path}/{record}", self.referral)

    async def _read_agreement(self) -> None:
        agreement, token = random.choice(list(self.agreements.items()))
        await self._read("agreement", agreement, self.hotel, self._path(agreement, self.places), token)

    async def _read_as_client(self) -> None:
        client, token = random.choice(list(self.clients.values()))
        await self._read("client", client.client, client, self._path(self.lasting, self.places), token)

    async def _read(self, kind: str, of: str, reader: Member, path: str, token: str) -> None:
        began = time.monotonic()
        answer = await reader.get(path, token)
        self.reads.append(_heard(kind, of, began, answer))

    async def _withdraw_all(self) -> None:
        token = await self.bank.token()
        for who in _shuffled(self.record_of):
            async with self._narrowing("consent", who):
                answer = await self.bank.post(f"/v1/datasets/{self.people}/withdrawals", token, {"subject": who})
                assert answer.status_code == 200, answer.text
                assert answer.json()["withdrawn"] == [self.consent_of[who]]

    async def _terminate_all(self) -> None:
        tokens = [(member, await member.token()) for member in (self.bank, self.hotel)]
        for agreement in _shuffled(self.agreements):
            async with self._narrowing("agreement", agreement):
                member, token = random.choice(tokens)
                answer = await member.post(f"/v1/agreements/{agreement}/termination", token)
                assert answer.status_code == 200, answer.text

    async def _end_clients(self) -> None:
        ending = self.site.alliance.gateway.clients
        for number, client in enumerate(_shuffled(self.clients)):
            async with self._narrowing("client", client):
                if number < REVOKED:
                    await ending.revoke(client, operator="test")
                elif number < REVOKED + RETIRED:
                    key = public(self.clients[client][0].client_key)
                    await ending.retire_key(client, thumbprint(key), operator="test")
                else:
                    system, token = self.clients[client]
                    await system.revoke(token)

    @asynccontextmanager
    async def _narrowing(self, kind: str, of: str) -> AsyncIterator[None]:
        """Note the span in which something ends, and leave the readers some time after it, on slow machines more."""
        began = time.monotonic()
        yield
        self.narrowings.append(Narrowing(kind, of, began, time.monotonic()))
        enough = self._answered() + ANSWERED_BETWEEN
        await asyncio.sleep(random.random() / 5)
        async with asyncio.timeout(PATIENCE_S):
            while self._answered() < enough:
                await asyncio.sleep(0.01)

    def _answered(self) -> int:
        return sum(read.status == 200 for read in self.reads)


def _heard(kind: str, of: str, began: float, answer: httpx.Response) -> Read:
    ended = time.monotonic()
    document = answer.json()
    records = {one["id"]: frozenset(one["fields"]) for one in document.get("records", ())}
    return Read(kind, of, began, ended, answer.status_code, document.get("event_id", ""), records)


def _shuffled(names: Mapping[str, Any]) -> list[str]:
    return random.sample(list(names), len(names))


@dataclass(frozen=True, slots=True)
class Entry:
    """A permit as the log has it."""

    index: int
    body: Mapping[str, Any]

    @property
    def opened(self) -> dict[str, frozenset[str]]:
        """The fields that it names for each record."""
        groups = self.body["opening"]["groups"]
        return {ref.partition("@")[0]: frozenset(group["fields"]) for group in groups for ref in group["records"]}

    def concerns(self, race: Race, narrowing: Narrowing) -> bool:
        """Whether this permit opens what that narrowing ended."""
        if narrowing.kind == "consent":
            return race.record_of[narrowing.of] in self.opened
        if narrowing.kind == "agreement":
            return str(self.body["agreement"]).startswith(f"{narrowing.of}@")
        return bool(self.body["actor"]["client"] == narrowing.of)


def _ended_by(body: Mapping[str, Any], race: Race) -> tuple[str, str] | None:
    """What an entry of the owner's log ended, if anything."""
    act = body.get("act")
    if act == "consents_withdrawn":
        [consent] = body["consents"]
        return "consent", next(who for who, known in race.consent_of.items() if known == consent)
    if act == "agreement_terminated":
        return "agreement", body["agreement"]
    if act in ("client_revoked", "client_key_retired"):
        return "client", body["client"]
    if act == "token_revoked":
        return "client", body["actor"]["client"]
    return None


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Settings: SQLite in the data directory, or PostgreSQL with Valkey."""
    if request.param == "sqlite":
        yield {}
        return
    with database_on(request.getfixturevalue("postgresql")) as url:
        yield {"database_url": url, "valkey_url": request.getfixturevalue("valkey").url}


@pytest.fixture
async def race(database: dict[str, Any], tmp_path: Path) -> AsyncIterator[Race]:
    """One process on SQLite; two on PostgreSQL."""
    async with served(tmp_path, processes=2 if database else 1, **database) as site:
        race = Race(site)
        await race.prepare()
        yield race


async def test_no_permit_follows_a_narrowing_and_no_answer_exceeds_its_entry(race: Race) -> None:
    await race.run()
    bodies = await race.site.rows(race.bank.id)
    permits = {
        body["event_id"]: Entry(index, body)
        for index, body in enumerate(bodies)
        if body["kind"] == "access" and body["effect"] == "permit"
    }
    ends = {end: index for index, body in enumerate(bodies) if (end := _ended_by(body, race))}
    assert len(ends) == len(race.narrowings) == PEOPLE + AGREEMENTS + REVOKED + RETIRED + TOKEN_REVOKED

    for narrowing in race.narrowings:
        at = ends[narrowing.kind, narrowing.of]
        late = [one.index for one in permits.values() if one.index > at and one.concerns(race, narrowing)]
        assert not late, f"permits {late} follow the narrowing at {at}"

    answered = [read for read in race.reads if read.status == 200]
    for read in answered:
        entry = permits[read.event_id]
        assert entry.opened == read.records, "an answer names other records or fields than its entry"
    assert len({read.event_id for read in answered}) == len(answered), "two answers share an entry"

    refused = Counter[str]()
    for narrowing in race.narrowings:
        for read in race.reads:
            if read.began < narrowing.ended or read.kind != narrowing.kind or read.of not in (narrowing.of, ""):
                continue
            if read.status == 200:
                assert narrowing.kind == "consent", f"{narrowing.kind} ended, and is read still"
                assert race.record_of[narrowing.of] not in read.records
            refused[narrowing.kind] += 1

    accesses = [body for body in bodies if body["kind"] == "access"]
    moved = sum(body["reasons"][0]["code"] == "MOVED" for body in accesses if body["effect"] == "indeterminate")
    _check_that_it_was_a_race(race, permits, refused, {body["node"] for body in accesses}, moved)


def _check_that_it_was_a_race(
    race: Race, permits: Mapping[str, Entry], refused: Mapping[str, int], nodes: set[str], moved: int
) -> None:
    """Nothing is shown by readers that came too early or too late."""
    statuses = Counter(read.status for read in race.reads)
    assert moved == statuses[503], "a read was refused for another reason than that it was overtaken twice"
    under_way = sum(
        any(read.began < one.ended and one.began < read.ended and read.kind == one.kind for one in race.narrowings)
        for read in race.reads
    )
    print(
        f"\n{len(race.reads)} reads (by status {dict(statuses)}, {under_way} during a narrowing of their kind), "
        f"{len(race.narrowings)} narrowings, {len(permits)} permits, refused afterwards {dict(refused)}, "
        f"{len(nodes)} processes"
    )
    assert set(statuses) <= {200, 401, 403, 404, 503}
    assert statuses[200] > 150
    assert statuses[503] < statuses[200]
    assert len(race.reads) > 300
    assert under_way > 20
    assert all(refused[kind] > 20 for kind in ("consent", "agreement", "client"))
    assert len(nodes) == len(race.site.servers)
    seen = [one for one in race.narrowings if any(entry.concerns(race, one) for entry in permits.values())]
    assert len(seen) > len(race.narrowings) * 2 / 3, "most of what was narrowed was never read before"

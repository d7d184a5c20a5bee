"""Two `gateway serve` over one PostgreSQL and one Valkey: what is used once is used once, what ends has ended on both.

Each thing is tried 200 times, at both servers at once or at one after the other; for what can end, `ENDS` says
how often.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access.world import PLACES
from tests.alliance import MARKET_SCHEMA, Member, new_key, public
from tests.databases import database_on
from tests.identity.world import JWT_BEARER
from tests.served import Site, served
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

TIMES = 200
AT_ONCE = 8
ENDS = {"token": 60, "key": 60, "client": 30, "member": 30, "agreement": 200}
REFUSALS = {"token": 401, "key": 401, "client": 401, "member": 403, "agreement": 403}
_PLENTY: dict[str, Any] = dict.fromkeys(("client_rate", "client_burst", "stranger_rate", "stranger_burst"), 10_000)


@dataclass
class Pair:
    """The two servers, by port, and the hotel that reads the bank's places on them."""

    site: Site

    @property
    def ports(self) -> tuple[int, int]:
        one, two = (server.port for server in self.site.servers)
        return one, two

    @property
    def hotel(self) -> Member:
        return self.site.alliance.members["hotel"]

    @property
    def bank(self) -> Member:
        return self.site.alliance.members["bank"]

    async def post(self, port: int, path: str, form: Mapping[str, str], **headers: str) -> httpx.Response:
        """A request of an OAuth endpoint of one of the servers, as it is, without another try."""
        return await self.site.alliance.http.post(
            self.site.alliance.base + path,
            data={"client_assertion_type": JWT_BEARER, **form},
            headers=headers,
            extensions={"port": port},
        )

    async def ask(self, port: int, assertion: str, proof: str) -> httpx.Response:
        """A token request."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion": assertion,
            "authorization_details": json.dumps([{"type": "alliance_member", "actions": ["draft"]}]),
        }
        return await self.post(port, "/token", form, DPoP=proof)

    async def read(self, port: int, token: str, proof: str) -> httpx.Response:
        """A call as it is, without another try."""
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        url = f"{self.site.alliance.base}/v1/members"
        return await self.site.alliance.http.get(url, headers=headers, extensions={"port": port})


@pytest.fixture
async def pair(tmp_path: Path, postgresql: PostgreSQL, valkey: Valkey) -> AsyncIterator[Pair]:
    with database_on(postgresql) as url:
        async with served(tmp_path, processes=2, database_url=url, valkey_url=valkey.url, **_PLENTY) as site:
            yield Pair(site)


async def _many(once: Callable[[int], Awaitable[tuple[int, ...]]]) -> Counter[tuple[int, ...]]:
    """What came of 200 tries, some of them at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> tuple[int, ...]:
        async with room:
            return await once(number)

    return Counter(await asyncio.gather(*(one(number) for number in range(TIMES))))


@pytest.mark.parametrize("same", ["assertion", "proof", "assertion and proof"])
async def test_of_a_request_posted_to_both_at_once_exactly_one_is_accepted(pair: Pair, same: str) -> None:
    hotel = pair.hotel
    await hotel.token()  # settles the nonce, which both servers take
    url = f"{hotel.alliance.base}/token"

    async def once(_: int) -> tuple[int, ...]:
        assertions = [hotel.assertion()] * 2 if "assertion" in same else [hotel.assertion(), hotel.assertion()]
        proofs = [hotel.proof("POST", url)] * 2 if "proof" in same else [hotel.proof("POST", url) for _ in range(2)]
        answers = await asyncio.gather(*map(pair.ask, pair.ports, assertions, proofs))
        refused = [answer.json()["error"] for answer in answers if answer.status_code != 200]
        assert set(refused) <= {"invalid_client", "invalid_dpop_proof"}, refused
        return tuple(sorted(answer.status_code for answer in answers))

    came = await _many(once)
    refusal = 401 if same == "assertion" else 400
    assert came == {tuple(sorted((200, refusal))): TIMES}
    granted = [entry for entry in await pair.site.rows(pair.site.alliance.id) if entry.get("act") == "token_granted"]
    assert len(granted) - 1 == TIMES, "one entry for each token, and none for what was refused"
    assert len({entry["node"] for entry in granted}) == 2, "both servers have won some"


async def test_of_a_proof_shown_to_both_at_once_exactly_one_is_accepted(pair: Pair) -> None:
    hotel = pair.hotel
    token = await hotel.token()
    assert (await hotel.get("/v1/members", token)).status_code == 200

    async def once(_: int) -> tuple[int, ...]:
        proof = hotel.proof("GET", f"{hotel.alliance.base}/v1/members", token)
        answers = await asyncio.gather(*(pair.read(port, token, proof) for port in pair.ports))
        return tuple(sorted(answer.status_code for answer in answers))

    assert await _many(once) == {(200, 401): TIMES}


@dataclass
class Ending:
    """Something to end: whose token, what it reads, and how it is ended."""

    reader: Member
    token: str
    path: str
    end: Callable[[], Awaitable[object]]
    undo: Callable[[], Awaitable[object]] | None = None


class Endings:
    """Makes something new to end, of any kind."""

    def __init__(self, pair: Pair, dataset: str) -> None:
        self._pair = pair
        self._dataset = dataset
        self._lasting = ""
        self._keyed: Member | None = None

    async def new(self, what: str) -> Ending:
        """What to end: for a key, a further one of a client that keeps its first."""
        self._lasting = self._lasting or await self._agreement()
        agreement = await self._agreement() if what == "agreement" else self._lasting
        reader, key = self._pair.hotel, ""
        if what == "client":
            reader = await self._client()
        elif what == "key":
            reader = self._keyed = self._keyed or await self._client()
            key = await self._pair.site.alliance.by_two("add_client_key", client=reader.client, jwk=public(new_key()))
        token = await reader.token(reader.under(agreement, self._dataset))
        path = f"/v1/agreements/{agreement}/datasets/{self._dataset}/records"
        return self._ending(what, reader, token, path, agreement, key)

    def _ending(self, what: str, reader: Member, token: str, path: str, agreement: str, key: str) -> Ending:
        gateway, bank = self._pair.site.alliance.gateway, self._pair.bank
        first, _ = self._pair.ports

        async def revoke() -> None:
            answer = await self._pair.post(first, "/revoke", {"client_assertion": reader.assertion(), "token": token})
            assert answer.status_code == 200, answer.text

        async def terminate() -> None:
            own = await bank.token()
            done = await bank.call("POST", f"/v1/agreements/{agreement}/termination", own, extensions={"port": first})
            assert done.status_code == 200, done.text

        ends: dict[str, Callable[[], Awaitable[object]]] = {
            "token": revoke,
            "key": lambda: gateway.clients.retire_key(reader.client, key, operator="test"),
            "client": lambda: gateway.clients.revoke(reader.client, operator="test"),
            "member": lambda: gateway.members.suspend(reader.id, case="c", operator="test"),
            "agreement": terminate,
        }
        undo = (lambda: self._pair.site.alliance.readmit(reader.id, case="c")) if what == "member" else None
        return Ending(reader, token, path, ends[what], undo)

    async def _agreement(self) -> str:
        return await self._pair.bank.agree(self._pair.hotel, self._dataset, ("code", "city"))

    async def _client(self) -> Member:
        """Another client of the hotel."""
        hotel = self._pair.hotel
        made = Member("system", hotel.alliance, id=hotel.id, nonces=hotel.nonces)
        made.client = await self._pair.site.alliance.register(made, made.name)
        return made


async def test_what_is_ended_on_one_is_refused_by_the_other_every_time(pair: Pair) -> None:
    """Token and agreement end by a call to the first server; key, client and member by an operator's process."""
    dataset = await pair.bank.declare(MARKET_SCHEMA)
    assert (await pair.bank.upload(dataset, PLACES)).status_code == 201
    endings = Endings(pair, dataset)
    first, second = pair.ports
    came: Counter[tuple[str, int, int, int]] = Counter()
    for what in (what for what, times in ENDS.items() for _ in range(times)):
        ending = await endings.new(what)

        async def call(port: int, ending: Ending = ending) -> int:
            answer = await ending.reader.call("GET", ending.path, ending.token, extensions={"port": port})
            return answer.status_code

        before = await call(first), await call(second)
        await ending.end()
        came[what, *before, await call(second)] += 1
        if ending.undo:
            await ending.undo()
    assert came == {(what, 200, 200, REFUSALS[what]): times for what, times in ENDS.items()}
    assert came.total() == sum(ENDS.values())

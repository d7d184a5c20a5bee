"""What stands beside the terms is taken away on one server while the other reads: the log has one order, 200 times.

Each time, a read is under way on the second server while the first takes something away. A read that begins after the
answer is refused (or masked), and the log has no permit between what was taken and what gave it back.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.agreements import HoldSubject
from tests.access.world import PLACES, Deal
from tests.alliance import MARKET_SCHEMA, Member
from tests.confiding import confided, done, signed, undertaking
from tests.databases import database_on
from tests.served import Site, served
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

TIMES = 50
_PLENTY: dict[str, Any] = dict.fromkeys(("client_rate", "client_burst", "stranger_rate", "stranger_burst"), 10_000)
TAKES = {"person_struck": "roster", "opted_out": "participation", "nda_ended": "nda", "hold_placed": "hold"}
GIVES = {"person_listed": "roster", "opted_in": "participation", "nda_filed": "nda", "hold_lifted": "hold"}
SHOWN = {"code", "margin"}
LEFT = {
    "roster": (403, "NOT_NEED_TO_KNOW"),
    "participation": (403, "NOT_OPTED_IN"),
    "nda": (200, "code"),
    "hold": (423, "DISPUTED_ITEM"),
}
"""What a read is answered with afterwards: its status with the reason, or the fields that are left."""
OVERTAKEN = (503, "indeterminate")

Way = Callable[[], Awaitable[object]]


@dataclass
class Facts:
    """Each fact as the first server (for holds: an operator's process) takes it away and gives it back."""

    site: Site
    deal: Deal
    person: str
    token: str
    nda: str
    own: Mapping[str, str]
    """Each member's token for what it does for itself."""
    hold: str = ""

    @property
    def bank(self) -> Member:
        return self.site.alliance.members["bank"]

    @property
    def hotel(self) -> Member:
        return self.site.alliance.members["hotel"]

    async def _ask(self, member: Member, method: str, path: str, document: Any = None) -> dict[str, Any]:
        port = self.site.servers[0].port
        return done(await member.call(method, path, self.own[member.id], json=document, extensions={"port": port}))

    async def read(self) -> httpx.Response:
        """A read by the person, on the second server."""
        return await self.hotel.call("GET", self.deal.path, self.token, extensions={"port": self.site.servers[1].port})

    def ways(self, what: str) -> tuple[Way, Way]:
        """How a fact is taken away, and how it comes back."""
        of = f"/v1/agreements/{self.deal.agreement}/datasets/{self.deal.dataset}"
        roster = f"{of}/roster/{self.person}"
        return {
            "roster": (
                lambda: self._ask(self.bank, "DELETE", roster),
                lambda: self._ask(self.bank, "PUT", roster, {}),
            ),
            "participation": (
                lambda: self._ask(self.bank, "DELETE", f"{of}/participation"),
                lambda: self._ask(self.bank, "PUT", f"{of}/participation"),
            ),
            "nda": (lambda: self._ask(self.hotel, "DELETE", f"/v1/ndas/{self.nda}"), self.undertake),
            "hold": (self._hold, lambda: self.site.alliance.lift(self.hold)),
        }[what]

    async def undertake(self) -> None:
        """File the hotel's NDA towards the bank."""
        jws = signed(self.hotel, "nda+jws", undertaking(self.hotel, self.bank.id))
        self.nda = (await self._ask(self.hotel, "POST", "/v1/ndas", {"jws": jws}))["id"]

    async def _hold(self) -> None:
        alliance, held = self.site.alliance, HoldSubject.AGREEMENT
        self.hold = await alliance.gateway.holds.place(
            alliance.id, held, self.deal.agreement, case="case", operator="test"
        )


@pytest.fixture
async def facts(tmp_path: Path, postgresql: PostgreSQL, valkey: Valkey) -> AsyncIterator[Facts]:
    with database_on(postgresql) as url:
        async with served(tmp_path, processes=2, database_url=url, valkey_url=valkey.url, **_PLENTY) as site:
            bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
            secret = MARKET_SCHEMA["properties"]["margin"] | {"x-confidentiality": "financial"}
            fields = MARKET_SCHEMA["properties"] | {"margin": secret}
            dataset = await bank.declare(MARKET_SCHEMA | {"properties": fields})
            assert (await bank.upload(dataset, PLACES)).status_code == 201
            deal = Deal(await bank.agree(hotel, dataset, sorted(SHOWN)), dataset)
            person = await confided(hotel, deal.agreement, dataset, site.alliance.id)
            token = await hotel.token(hotel.under(deal.agreement, dataset) | {"person": person})
            own = {member.id: await member.token() for member in (bank, hotel)}
            [nda] = [entry["nda"] for entry in await site.rows(site.alliance.id) if _files_for(hotel, entry)]
            yield Facts(site, deal, person, token, nda, own)


def _files_for(member: Member, entry: Mapping[str, Any]) -> bool:
    return entry.get("act") == "nda_filed" and entry["towards"] == member.alliance.id


def _answered(answer: httpx.Response) -> tuple[int, str]:
    document = answer.json()
    if answer.status_code == 200:
        return 200, " ".join(sorted({field for one in document["records"] for field in one["fields"]}))
    return answer.status_code, document["reasons"][0]["code"] if "reasons" in document else document["code"]


async def test_what_one_server_takes_away_no_permit_of_the_other_follows(facts: Facts) -> None:
    everything = (200, " ".join(sorted(SHOWN)))
    await facts.ways("nda")[0]()
    await facts.undertake()  # towards the bank: in its log
    assert _answered(await facts.read()) == everything
    raced: Counter[bool] = Counter()
    for what in [what for what in LEFT for _ in range(TIMES)]:
        take, give = facts.ways(what)
        read = asyncio.create_task(facts.read())
        await asyncio.sleep(random.random() / 50)
        await take()
        assert _answered(await facts.read()) == LEFT[what]
        during = _answered(await read)
        assert during in (everything, LEFT[what], OVERTAKEN)
        raced[during == everything] += 1
        await give()
    bodies = await facts.site.rows(facts.bank.id)
    assert Counter(body["act"] for body in bodies if body.get("act") in TAKES) == dict.fromkeys(TAKES, TIMES)
    assert _permits_in_between(bodies) == []
    assert raced.total() == len(LEFT) * TIMES
    assert min(raced[True], raced[False]) > TIMES / 5, "reads came before and after what was taken away"


def _permits_in_between(bodies: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Permits that open what was taken away at that place of the log."""
    gone: set[str] = set()
    found = []
    for index, body in enumerate(bodies):
        act = body.get("act", "")
        gone |= {TAKES[act]} if act in TAKES else set()
        gone -= {GIVES[act]} if act in GIVES else set()
        if body["kind"] == "access" and body["effect"] == "permit":
            opened = {field for group in body["opening"]["groups"] for field in group["fields"]}
            found += [(what, index) for what in gone if what != "nda" or "margin" in opened]
    return found

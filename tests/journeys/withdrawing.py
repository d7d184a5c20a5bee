"""Many reads against many withdrawals over real sockets, and what the ledger says of them afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from gateway.ledger.warrant import LIFETIME_S
from tests.access.world import person
from tests.alliance import PERSONAL_SCHEMA, Member
from tests.served import Site

FIELDS = ("name", "phone")
READERS = 12
WITHDRAWERS = 4
_CONSENTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A read: when it was sent and answered (ms), and what it brought."""

    sent: int
    answered: int
    status: int
    event_id: str
    records: frozenset[str]


@dataclass
class Race:
    """Persons who have all consented; each withdraws once, while all are read. `record_of` is by customer number."""

    site: Site
    agreement: str = ""
    dataset: str = ""
    consent_of: dict[str, str] = field(default_factory=dict)
    record_of: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    withdrawn: dict[str, int] = field(default_factory=dict)
    """When each withdrawal was answered (ms), by record."""
    repeated: int = 0
    """Withdrawals that were refused for now, and sent again."""

    @property
    def bank(self) -> Member:
        return self.site.alliance.members["bank"]

    @property
    def hotel(self) -> Member:
        return self.site.alliance.members["hotel"]

    @property
    def path(self) -> str:
        return f"/v1/agreements/{self.agreement}/datasets/{self.dataset}/records"

    @classmethod
    async def prepared(cls, site: Site, persons: int) -> Self:
        """Data, consents and an agreement, all of them standing."""
        race = cls(site)
        race.dataset = await race.bank.declare(PERSONAL_SCHEMA)
        await race.bank.upload(race.dataset, [person(number) for number in range(persons)])
        names = [person(number)["customer_no"] for number in range(persons)]
        for at in range(0, persons, _CONSENTS_AT_ONCE):
            some = names[at : at + _CONSENTS_AT_ONCE]
            ids = await race.bank.consent(race.dataset, race.hotel, *some, fields=["customer_no", *FIELDS])
            race.consent_of |= dict(zip(some, ids, strict=True))
        agreed = ["customer_no", *FIELDS]
        race.agreement = await race.bank.agree(race.hotel, race.dataset, agreed, purposes=["customer_referral"])
        await race._learn()
        return race

    async def _learn(self) -> None:
        token, after = await self._reading(), ""
        while after is not None:
            params = {"limit": "100"} | ({"cursor": after} if after else {})
            page = (await self.hotel.get(self.path, token, **params)).json()
            self.record_of |= {one["fields"]["customer_no"]: one["id"] for one in page["records"]}
            after = page["next"]

    async def _reading(self) -> str:
        return await self.hotel.token(self.hotel.under(self.agreement, self.dataset, "customer_referral"))

    async def run(self, reads: int) -> float:
        """So many reads, half of them of one record and half of pages, beside every withdrawal; returns the seconds."""
        names, left = random.sample(list(self.record_of), len(self.record_of)), iter(range(reads))
        began = time.monotonic()
        withdrawing = [asyncio.create_task(self._withdraw(names[n::WITHDRAWERS])) for n in range(WITHDRAWERS)]
        await asyncio.gather(*[self._read(left) for _ in range(READERS)], *withdrawing)
        return time.monotonic() - began

    async def _read(self, left: Any) -> None:
        token, records = await self._reading(), list(self.record_of.values())
        for number in left:
            if number % 400 == 0:
                token = await self._reading()
            path = f"{self.path}/{random.choice(records)}" if number % 2 else self.path
            sent = _now_ms()
            answer = await self.hotel.get(path, token)
            document = answer.json()
            found = frozenset(one["id"] for one in document.get("records", ()))
            self.answers.append(Answer(sent, _now_ms(), answer.status_code, document.get("event_id", ""), found))

    async def _withdraw(self, names: list[str]) -> None:
        token = await self.bank.token()
        for number, name in enumerate(names):
            if number % 50 == 0:
                token = await self.bank.token()
            path, body = f"/v1/datasets/{self.dataset}/withdrawals", {"subject": name}
            while (answer := await self.bank.post(path, token, body)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
                self.repeated += 1
            assert answer.status_code == 200, answer.text
            self.withdrawn[self.record_of[name]] = _now_ms()

    async def found(self) -> Found:
        """What the owner's log and the answers say."""
        bodies = await self.site.rows(self.bank.id)
        record_of = {consent: self.record_of[name] for name, consent in self.consent_of.items()}
        ended: dict[str, int] = {}
        found = Found(len(bodies), len(self.withdrawn), len(self.answers), self.repeated)
        permits: dict[str, tuple[frozenset[str], int]] = {}
        for index, body in enumerate(bodies):
            if body.get("act") == "consents_withdrawn":
                ended |= {record_of[consent]: index for consent in body["consents"]}
            elif body["kind"] == "access" and body["effect"] == "permit":
                groups = body["opening"]["groups"]
                opened = frozenset(ref.partition("@")[0] for group in groups for ref in group["records"])
                permits[body["event_id"]] = opened, body["time"]
                found.late_permits += any(record in ended for record in opened)
        found.ended = len(ended)
        found.nodes = len({body["node"] for body in bodies if body["kind"] == "access"})
        for answer in self.answers:
            found.statuses[answer.status] = found.statuses.get(answer.status, 0) + 1
            if answer.status == 200:
                opened, entered = permits[answer.event_id]
                found.differing += opened != answer.records
                found.past_their_warrant += answer.answered - max(entered, answer.sent) > LIFETIME_S * 1000
                gone = {record for record in answer.records if self.withdrawn.get(record, answer.sent) < answer.sent}
                found.read_after_withdrawal += bool(gone)
        return found


@dataclass
class Found:
    """Counts. The five that must be 0 are in `wrong`."""

    entries: int
    withdrawals: int
    reads: int
    repeated: int
    ended: int = 0
    nodes: int = 0
    late_permits: int = 0
    differing: int = 0
    past_their_warrant: int = 0
    read_after_withdrawal: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def wrong(self) -> dict[str, int]:
        """Permits behind a withdrawal in the ledger, answers that say other than their entries, answers that came
        later than a warrant lasts, reads begun after a withdrawal was answered that show its person, unended ones."""
        return {
            "late_permits": self.late_permits,
            "differing": self.differing,
            "past_their_warrant": self.past_their_warrant,
            "read_after_withdrawal": self.read_after_withdrawal,
            "not_ended": self.withdrawals - self.ended,
        }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""A small alliance of three members, and a second alliance beside it, on the real components."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import bindparam, select

from gateway.agreements import (
    AgreementLife,
    Agreements,
    Drafting,
    Endings,
    Holds,
    HoldSubject,
    Negotiation,
    PdfEvidence,
)
from gateway.approvals import Approvals
from gateway.clock import seconds
from gateway.database import Database, Query, Reading
from gateway.demo.admission import admit
from gateway.identity.clients import add_key, register_client
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.ledger.tables import head, leaf
from gateway.members import Members, SigningKeys
from gateway.members.admission import Admissions
from gateway.members.client_acts import ClientActs
from gateway.supplies import NewKeys
from gateway.vault.keyring import KeyRing
from gateway.vault.providers.local import LocalKeyring
from tests.company_signatures import sign_terms

START_S = 1_767_225_600  # 2026-01-01T00:00:00Z
FLIGHTS = "flights"
RESOURCE = "https://alliance.test/v1"
FIELDS = ("year", "month", "carrier")
PURPOSES = frozenset({"market_analysis", "risk_control", "customer_referral"})

_LEAVES = Query(select(leaf.c.log_id, leaf.c.idx, leaf.c.body).order_by(leaf.c.log_id, leaf.c.idx))
_NARROWING = Query(select(head.c.narrowing).where(head.c.log_id == bindparam("log")))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = START_S * 1000

    def __call__(self) -> int:
        return self.now_ms

    @property
    def now_s(self) -> int:
        return seconds(self.now_ms)

    def forward(self, seconds_: int) -> None:
        self.now_ms += seconds_ * 1000


class OwnedDatasets:
    """The datasets of this world, by owner."""

    def __init__(self) -> None:
        self.owned: dict[tuple[str, str], tuple[str, ...]] = {}
        self.alliances: dict[str, str] = {}

    async def fields_of(self, reading: Reading, *, owner: str, dataset: str) -> Collection[str] | None:
        return self.owned.get((owner, dataset))

    async def filters_of(self, reading: Reading, *, dataset: str) -> Collection[str]:
        return {"carrier", "month"}

    async def owner_of(self, reading: Reading, *, alliance: str, dataset: str) -> str | None:
        owners = [owner for owner, name in self.owned if name == dataset]
        return next((owner for owner in owners if self.alliances[owner] == alliance), None)


@dataclass
class Company:
    """A member with a client and a signing key."""

    alliance: str
    id: str
    client: str
    client_key: OKPKey
    key: OKPKey | ECKey
    fingerprint: str

    @property
    def subject(self) -> Subject:
        return self.acting()

    def acting(self, *actions: str) -> Subject:
        return Subject(
            alliance=self.alliance,
            member=self.id,
            client=self.client,
            agreements=(),
            actions=frozenset(actions or ("draft", "sign")),
            token="t",
            jkt="j",
            expires_at=2**40,
            client_version=1,
        )


def uscc(number: int) -> str:
    """A code with a right check digit."""
    from stdnum.cn import uscc as codes

    first = f"91110000{number:09d}"
    return f"{first}{codes.calc_check_digit(first)}"


@dataclass
class World:
    database: Database
    clock: Clock = field(default_factory=Clock)
    pdf_roots: Path | None = None

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database, self.clock, origin="alliance.test", node="node-1")
        keyring = KeyRing(self.database, LocalKeyring("test", secrets.token_bytes(32)), self.clock)
        self.members = Members(self.database, self.ledger, NewKeys(keyring))
        self.admissions = Admissions.of(self.database, self.ledger, keyring, self.clock)
        self.keys = SigningKeys(self.database, self.ledger)
        self.datasets = OwnedDatasets()
        self.holds, endings = Holds(self.database, self.ledger, self.datasets), Endings(self.database)
        clients = ClientActs(self.database, resource=RESOURCE, loopback=False)
        bringing = (clients, self.keys, self.members, self.admissions, endings, self.holds)
        acts = [act for one in bringing for act in one.acts()]
        self.approvals = Approvals(self.database, self.ledger, self.clock, acts)
        self.restart()
        self._companies = 0

    def restart(self) -> None:
        """Forget everything that a process remembers about agreements."""
        self.agreements = Agreements(self.database, self.ledger)
        drafting = Drafting(self.datasets, lambda: PURPOSES)
        self.life = AgreementLife(self.database, self.ledger, self.agreements, drafting)
        self.pdf = PdfEvidence(self.database, self.ledger, self.agreements, self.pdf_roots)
        self.negotiation = Negotiation(self.database, self.ledger, self.agreements, drafting)

    async def build(self) -> World:
        self.alliance = await self.members.create_alliance("Sky and Stay", operator="root")
        self.airline = await self.company(self.alliance)
        self.bank = await self.company(self.alliance, key=ECKey.generate_key("P-256", private=True))
        self.hotel = await self.company(self.alliance)
        self.other_alliance = await self.members.create_alliance("Elsewhere", operator="root")
        self.stranger = await self.company(self.other_alliance)
        everyone = (self.airline, self.bank, self.hotel)
        for one in everyone:
            for other in everyone:
                if one is not other:
                    await self.keys.confirm(one.subject, other.fingerprint)
        self.own(self.airline, FLIGHTS)
        return self

    def own(self, company: Company, dataset: str, fields: tuple[str, ...] = FIELDS) -> None:
        self.datasets.owned[(company.id, dataset)] = fields
        self.datasets.alliances[company.id] = company.alliance

    async def company(self, alliance: str, key: OKPKey | ECKey | None = None) -> Company:
        self._companies += 1
        name = f"Company {self._companies}"
        code = uscc(self._companies)
        member = await self.members.create_member(alliance, name=name, uscc=code, industry="travel", operator="root")
        await admit(self, member, uscc=code)
        client_key = new_key()
        async with self.database.transaction() as tx:
            client = await register_client(tx, member_id=member, name="app", now_ms=self.clock())
            await add_key(tx, client_id=client, jwk=public(client_key), now_ms=self.clock())
        signing = key or new_key()
        fingerprint = await self.add_signing_key(member, public(signing))
        return Company(alliance, member, client, client_key, signing, fingerprint)

    async def add_signing_key(self, member: str, jwk: Mapping[str, Any]) -> str:
        """Proposed by one operator, approved by another; returns the fingerprint."""
        home = await self.members.home_of(member)
        return await self.by_two(home, "add_signing_key", member=member, jwk=dict(jwk))

    async def by_two(self, alliance: str, act: str, **arguments: Any) -> str:
        """One operator proposes, another approves; returns what the act made."""
        proposal = await self.approvals.propose(alliance, act, arguments, operator="root")
        return await self.approvals.approve(proposal, operator="second")

    async def proposed(self, act: str, arguments: Mapping[str, Any], alliance: str = "") -> str:
        """What one operator proposes, by its id."""
        return await self.approvals.propose(alliance or self.alliance, act, arguments, operator="root")

    async def hold(self, kind: HoldSubject, subject: str, case: str = "c-1") -> str:
        """A hold that one operator places."""
        return await self.holds.place(self.alliance, kind, subject, case=case, operator="root")

    async def lift(self, hold: str) -> None:
        """Two operators lift a hold."""
        alliance, arguments = await self.holds.lifting(hold)
        await self.by_two(alliance, "lift_hold", **arguments)

    async def readmit(self, company: Company, case: str = "c1") -> None:
        """Two operators end a suspension."""
        arguments = await self.members.readmission(company.id, case=case)
        await self.by_two(company.alliance, "readmit_member", **arguments)

    def proposal(self, **changes: Any) -> bytes:
        value: dict[str, Any] = {
            "owner": self.airline.id,
            "recipient": self.bank.id,
            "title": "Flights of 2013",
            "datasets": [
                {
                    "dataset": FLIGHTS,
                    "fields": ["carrier", "year"],
                    "purposes": ["market_analysis"],
                    "methods": ["api"],
                }
            ],
            "frequency": {"reads": 100, "per_seconds": 60},
            "start": "2026-01-01T00:00:00Z",
            "end": "2027-01-01T00:00:00Z",
            "confidentiality_years": 3,
            "onward": "forbidden",
        }
        return json.dumps({**value, **changes}).encode()

    async def drafted(self, by: Company | None = None, **changes: Any) -> str:
        answer = await self.life.draft((by or self.airline).subject, self.proposal(**changes))
        return str(json.loads(answer)["id"])

    async def jws(self, company: Company, agreement: str) -> str:
        found = await self.agreements.load(agreement)
        assert found is not None
        return sign_terms(found.text, company.key)

    async def sign(self, company: Company, agreement: str) -> None:
        await self.life.sign(company.subject, agreement, await self.jws(company, agreement))

    async def signed(self, **changes: Any) -> str:
        agreement = await self.drafted(**changes)
        await self.sign(self.airline, agreement)
        await self.sign(self.bank, agreement)
        return agreement

    async def in_force(self, agreement: str) -> bool:
        return await self.agreements.in_force(agreement, self.clock.now_s) is not None

    async def entries(self) -> list[Mapping[str, Any]]:
        return [json.loads(row["body"]) for row in await self.database.all(_LEAVES)]

    async def narrowing(self, company: Company) -> int:
        row = await self.database.one(_NARROWING, log=company.id)
        assert row is not None
        return int(row["narrowing"])


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", private=True)


def public(key: OKPKey | ECKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))

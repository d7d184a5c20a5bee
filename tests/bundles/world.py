"""A bank that knows what its customers like, an airline with products, and a hotel that serves those customers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.identity.subject import Subject
from tests.access.world import Deal, Shared, records, shared_on
from tests.alliance import Member
from tests.confiding import no_secrets

LIKES = no_secrets(
    {
        "type": "object",
        "x-kind": "personal",
        "x-subject-field": "customer_no",
        "x-unique": ["customer_no"],
        "properties": {
            "customer_no": {"type": "string", "x-class": "personal", "x-grade": 2},
            "likes": {"type": "string", "x-class": "personal_likes", "x-grade": 2},
            "children": {"type": "integer", "x-class": "personal_family", "x-grade": 3},
            "income": {"type": "integer", "x-class": "personal_income", "x-grade": 3},
        },
    }
)
PRODUCTS = no_secrets(
    {
        "type": "object",
        "x-kind": "product",
        "properties": {
            "code": {"type": "string", "x-class": "plain", "x-grade": 1},
            "name": {"type": "string", "x-class": "plain", "x-grade": 1},
            "category": {"type": "string", "x-class": "plain", "x-grade": 1},
            "price": {"type": "integer", "x-class": "plain", "x-grade": 1},
        },
    }
)
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "C1": {"likes": "wellness", "children": 0, "income": 900_000},
    "C2": {"likes": "mountains", "children": 2, "income": 80_000},
    "C3": {"likes": "wellness", "children": 3, "income": 5},
    "T1": {"likes": "wellness", "children": 1, "income": 5},
    "T2": {"likes": "wellness", "children": 1, "income": 5},
}
TWINS = ("T1", "T2")
"""Whom a test has merged."""
OFFERS = [
    {"code": "A1", "name": "City break", "category": "city", "price": 120_000},
    {"code": "B2", "name": "Spa week", "category": "spa", "price": 450_000},
    {"code": "C3", "name": "Alpine flight", "category": "mountains", "price": 310_000},
    {"code": "D4", "name": "Family seats", "category": "family", "price": 210_000},
]
FIELDS = ["likes", "children"]


def rule(code: str, when: tuple[str, Any], prefer: str, weight: int) -> dict[str, Any]:
    """Whoever has this preference prefers this category."""
    words = {"en": f"Because of {code.lower()}", "zh-CN": f"原因：{code}"}
    conditions = {"when": {"field": when[0], "in": when[1]}, "prefer": {"field": "category", "in": [prefer]}}
    return {"code": code, **conditions, "weight": weight, "words": words}


RULES = [
    rule("LIKES_WELLNESS", ("likes", ["wellness"]), "spa", 30),
    rule("LIKES_MOUNTAINS", ("likes", ["mountains"]), "mountains", 30),
    rule("HAS_CHILDREN", ("children", [1, 2, 3]), "family", 20),
]


@dataclass
class Offering:
    """The alliance, with everything agreed that bundles take."""

    shared: Shared
    people: Deal
    products: Deal
    ids: dict[str, str] = field(default_factory=dict)

    def rules(self, **over: Any) -> dict[str, Any]:
        """A rule set over the airline's products."""
        fields = {"code": "code", "name": "name", "price": "price", "currency": "CNY"}
        source = {"agreement": self.products.agreement, "dataset": self.products.dataset, **fields}
        said = {"v": 1, "title": "Weekends", "products": [source], "preferences": FIELDS, "rules": RULES, "size": 3}
        return said | over

    async def drafted(self, **over: Any) -> dict[str, Any]:
        """Rules of the hotel that nobody has approved."""
        answer = await self.shared.hotel.post("/v1/bundles/rules", await self.shared.hotel.token(), self.rules(**over))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def in_force(self, **over: Any) -> str:
        """Rules of the hotel that two operators have approved."""
        _, arguments = await self.shared.gateway.bundling.rule_sets.approval((await self.drafted(**over))["id"])
        return await self.shared.alliance.by_two("approve_bundle_rules", **arguments)

    async def token(self, hotel: Member | None = None) -> str:
        """The hotel's, for the products and for the people."""
        who = hotel or self.shared.hotel
        products = who.under(self.products.agreement, self.products.dataset, "product_information")
        return await who.token(products, who.under(self.people.agreement, self.people.dataset, "personalisation"))

    async def ask(self, person: str, **over: Any) -> httpx.Response:
        """The hotel asks for a bundle."""
        named = {"agreement": self.people.agreement, "dataset": self.people.dataset}
        wish = {**named, "record": self.ids.get(person, person), **over}
        return await self.shared.hotel.post("/v1/bundles", await self.token(), wish)

    async def made(self, person: str, **over: Any) -> dict[str, Any]:
        """The bundle."""
        answer = await self.ask(person, **over)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def consent(self, *persons: str, fields: tuple[str, ...] = ("likes", "children")) -> None:
        """They let the hotel personalise, also after they withdrew it."""
        self.shared.clock.pass_seconds(120)
        bank = self.shared.bank
        await bank.consent(
            self.people.dataset, self.shared.hotel, *persons, purpose="personalisation", fields=list(fields)
        )

    async def switch(self, person: str, *, off: bool) -> httpx.Response:
        """The bank records what its customer wants."""
        bank, said = self.shared.bank, {"dataset": self.people.dataset, "subject": person, "off": off}
        return await bank.post("/v1/bundles/switch", await bank.token(), said)

    async def merge(self, person: str, other: str) -> None:
        """The bank says that two of its customers are one person."""
        bank, said = self.shared.bank, {"subject": person, "duplicate": other}
        answer = await bank.post(f"/v1/datasets/{self.people.dataset}/merges", await bank.token(), said)
        assert answer.status_code == 200, answer.text

    async def explained(self, person: str) -> list[dict[str, Any]]:
        """What the bank can tell its customer."""
        bank, said = self.shared.bank, {"dataset": self.people.dataset, "subject": person}
        answer = await bank.post("/v1/bundles/explanations", await bank.token(), said)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def subject(self, token: str) -> Subject:
        """Who a token of the hotel's stands for."""
        return await self.shared.subject(self.shared.hotel, token)


def shown(bundle: Mapping[str, Any]) -> list[str]:
    """The codes on offer, in order."""
    return [one["code"] for one in bundle["items"]]


def prices(bundle: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """What each costs."""
    return {one["code"]: (one["price"], one["currency"]) for one in bundle["items"]}


@asynccontextmanager
async def offering(request: pytest.FixtureRequest, folder: Path, engine: str = "sqlite") -> AsyncIterator[Offering]:
    """On an engine: agreed and uploaded, with nobody's consent yet."""
    async with shared_on(request, folder, engine) as shared:
        likes, offers = await shared.bank.declare(LIKES), await shared.stranger.declare(PRODUCTS)
        rows = [{"customer_no": number, **said} for number, said in PEOPLE.items()]
        for owner, dataset, uploaded in ((shared.bank, likes, rows), (shared.stranger, offers, OFFERS)):
            answer = await owner.upload(dataset, uploaded)
            assert answer.status_code == 201, answer.text
        agreed = {"purposes": ["personalisation", "service_delivery"]}
        people = Deal(await shared.bank.agree(shared.hotel, likes, ["customer_no", *FIELDS], **agreed), likes)
        terms = {"purposes": ["product_information"], "term": {"lawful_basis": "non_personal"}}
        products = Deal(
            await shared.stranger.agree(shared.hotel, offers, ["code", "name", "category", "price"], **terms), offers
        )
        found = Offering(shared, people, products)
        await shared.bank.consent(likes, shared.hotel, *PEOPLE, purpose="service_delivery", fields=["customer_no"])
        seen = records(await shared.hotel.get(people.path, await shared.token(people, "service_delivery")))
        found.ids = {fields["customer_no"]: record for record, fields in seen.items()}
        await found.in_force()
        yield found
